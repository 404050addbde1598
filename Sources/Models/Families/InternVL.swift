import Checkpoints
import Images
import Tensors

/// InternVL: tiles through InternViT, 2 × 2 patches joined to a token, projected, merged into a text tower.
///
/// Paper: https://arxiv.org/abs/2404.16821. Both published layouts become this one model.
struct InternVL: VisionLanguageModel {
    let description: ModelDescription
    private let vision: VisionShape
    private let embedding: PatchEmbedding
    private let blocks: [VisionBlock]
    private let projector: Projector
    private let decoder: DecoderStack
    private let operators: any Operators

    /// What a layout calls things; of several names for a place the first known to be there counts.
    struct Names: Sendable {
        let vision: [String]
        let embedding: PatchEmbedding.Names
        let blocks: String
        let block: VisionBlock.Names
        let projector: [String]
        let projectorLayers: Projector.Names
        let text: [String]
        let head: [String]
    }

    /// Takes the weights of a description that has a vision tower.
    init(
        _ description: ModelDescription, _ vision: VisionShape, _ names: Names, _ loader: Loader,
    ) throws(ModelError) {
        let tower = loader.forVision.first(of: names.vision, with: names.embedding.positions)
        embedding = try PatchEmbedding(tower, names.embedding, vision)
        blocks = try tower[names.blocks].layers(vision.layerCount) { (loader) throws(ModelError) in
            try VisionBlock(loader, names.block, vision)
        }
        projector = try Projector(
            loader.first(of: names.projector, with: "\(names.projectorLayers.up).weight"),
            names.projectorLayers,
            norm: .layer(epsilon: 1e-5), normed: vision.projectorInputs, joined: 1,
            inner: description.text.hiddenSize, outputs: description.text.hiddenSize)
        decoder = try DecoderStack(
            loader.forText.first(of: names.text, with: "\(description.text.names.embedding).weight"),
            head: loader.forText.first(of: names.head, with: "\(description.text.names.head).weight"),
            description.text)
        self.description = description
        self.vision = vision
        operators = loader.device.operators
    }

    func encode(tiles: Tensor, grids: [TokenGrid], workspace: Workspace) throws(DeviceError) -> Tensor {
        let tileCount = tiles.shape[0]
        let length = 1 + vision.patchesPerSide * vision.patchesPerSide
        let tokenCount = tileCount * vision.cut.tokensPerPage
        // [n · tokens, hidden]
        let embeddings = try workspace.take([tokenCount, description.text.hiddenSize], .f32)
        let mark = workspace.mark
        let stream = try workspace.take([tileCount, length, vision.hiddenSize], .f32)  // [n, 1 + P, C]
        try embedding(tiles, into: stream, workspace: workspace)
        let rows = stream.reshaped([tileCount * length, vision.hiddenSize])  // [n · (1 + P), C]
        let sequences = PackedSequences(count: tileCount, length: length)
        for block in blocks { try block(rows, sequences: sequences, workspace: workspace) }
        let joined = try workspace.take([tokenCount, 4 * vision.hiddenSize], .f32)  // [n · tokens, 4 · C]
        operators.pixelShuffle(stream, side: vision.patchesPerSide, out: joined)
        try projector(joined, into: embeddings, workspace: workspace)
        workspace.rewind(to: mark)
        return embeddings
    }

    var cacheHeads: HeadLayout { decoder.cacheHeads }

    func forward(_ batch: Batch, workspace: Workspace) throws(DeviceError) -> Tensor {
        try decoder.forward(batch, workspace: workspace)
    }

    /// Whether the model has no use for `tensor`: blocks behind the chosen one, a tied head, and what older files keep.
    static func mayRemain(_ tensor: String, _ names: Names, _ description: ModelDescription) -> Bool {
        if tensor.hasSuffix("position_ids") || tensor.hasSuffix("mask_token")
            || description.text.leavesOut(tensor)
        {
            return true
        }
        return names.vision.contains { tower in
            let prefix = "\(tower).\(names.blocks)."
            guard tensor.hasPrefix(prefix) else { return false }
            let layer = tensor.dropFirst(prefix.count).prefix { $0 != "." }
            return Int(layer).map { $0 >= description.vision?.layerCount ?? 0 } ?? false
        }
    }
}
