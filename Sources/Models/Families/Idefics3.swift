import Checkpoints
import Images
import Tensors

/// Idefics3 and SmolVLM: tiles through SigLIP, squares of patches joined and projected, merged into a text tower.
///
/// Papers: https://arxiv.org/abs/2408.12637, https://arxiv.org/abs/2504.05299
struct Idefics3: VisionLanguageModel {
    let description: ModelDescription
    private let vision: VisionShape
    private let embedding: PatchEmbedding
    private let blocks: [VisionBlock]
    private let norm: Norm
    /// [hidden, joined patches · C].
    private let projection: Linear
    private let decoder: DecoderStack
    private let device: any Device

    private static let block = VisionBlock.Names(
        attentionNorm: "layer_norm1", attention: "self_attn",
        qkv: .separate(queries: "q_proj", keys: "k_proj", values: "v_proj"), output: "out_proj",
        mlpNorm: "layer_norm2")

    /// Takes the weights of a description that has a vision tower.
    init(_ description: ModelDescription, _ vision: VisionShape, _ loader: Loader) throws(ModelError) {
        let tower = loader.forVision["model"]["vision_model"]
        // The reference finds a patch's position by its distance from the edge as a fraction of the side: in tiles of the
        // trained size that is its own, but for roundings that no published size has.
        embedding = try PatchEmbedding(
            tower,
            PatchEmbedding.Names(
                classToken: nil, positions: "embeddings.position_embedding.weight",
                projection: "embeddings.patch_embedding", areFlat: true), vision)
        blocks = try tower["encoder"]["layers"].layers(vision.layerCount) { (loader) throws(ModelError) in
            try VisionBlock(loader, Self.block, vision)
        }
        norm = try Norm(vision.norm, tower, "post_layernorm", count: vision.hiddenSize)
        projection = try Linear(
            loader["model"]["connector"]["modality_projection"], "proj", outputs: description.text.hiddenSize,
            inputs: vision.projectorInputs, hasBias: false)
        decoder = try DecoderStack(
            loader.forText["model"]["text_model"], head: loader.forText, description.text)
        self.description = description
        self.vision = vision
        device = loader.device
    }

    func encode(tiles: Tensor, grids: [TokenGrid], workspace: Workspace) throws(DeviceError) -> Tensor {
        let tileCount = tiles.shape[0], side = vision.patchesPerSide, operators = device.operators
        let rowCount = tileCount * side * side, tokenCount = tileCount * vision.cut.tokensPerPage
        // [n · tokens, hidden]
        let embeddings = try workspace.take([tokenCount, description.text.hiddenSize], .f32)
        let mark = workspace.mark
        let stream = try workspace.take([rowCount, vision.hiddenSize], .f32)  // [n · P, C]
        try embedding(
            tiles, into: stream.reshaped([tileCount, side * side, vision.hiddenSize]), workspace: workspace)
        let sequences = PackedSequences(count: tileCount, length: side * side)
        for block in blocks { try block(stream, sequences: sequences, workspace: workspace) }
        let normed = try workspace.take([rowCount, vision.hiddenSize], .f32)  // [n · P, C]
        norm(stream, into: normed)
        let order = try workspace.take([rowCount], .i32)
        device.write(joinedOrder(tileCount), to: order)
        // [n · tokens, joined patches · C]
        let joined = try workspace.take([tokenCount, vision.projectorInputs], operators.operandType)
        operators.gatherRows(normed, rows: order, out: joined.reshaped([rowCount, vision.hiddenSize]))
        projection(.rows(joined), into: embeddings)
        workspace.rewind(to: mark)
        return embeddings
    }

    /// The patches of `tileCount` tiles, those of an image token after one another, both row by row.
    private func joinedOrder(_ tileCount: Int) -> [Int32] {
        guard case .split(let split) = vision.cut else { preconditionFailure("Idefics3 splits pictures") }
        let side = vision.patchesPerSide, merge = split.mergeSize
        var order: [Int32] = []
        order.reserveCapacity(tileCount * side * side)
        for tile in 0..<tileCount {
            for top in stride(from: 0, to: side, by: merge) {
                for left in stride(from: 0, to: side, by: merge) {
                    for row in top..<(top + merge) {
                        // Safe: there are far fewer patches than an i32 counts.
                        let first = Int32((tile * side + row) * side + left)
                        order += first..<(first + Int32(merge))
                    }
                }
            }
        }
        return order
    }

    var cacheHeads: HeadLayout { decoder.cacheHeads }

    func forward(_ batch: Batch, workspace: Workspace) throws(DeviceError) -> Tensor {
        try decoder.forward(batch, workspace: workspace)
    }
}
