import Checkpoints
import Images
import Tensors

/// Qwen2-VL, Qwen2.5-VL and Qwen3-VL: a picture at its own size through a tower with rotary positions, 2 × 2 patches
/// joined to a token, merged into a text tower with positions in three dimensions.
///
/// Papers: https://arxiv.org/abs/2409.12191, https://arxiv.org/abs/2502.13923, https://arxiv.org/abs/2511.21631. In the
/// second most layers attend within windows, and the MLPs are gated; in the third learned positions are stretched over the
/// picture, and what some layers put out goes to the first text layers as well.
struct QwenVL: VisionLanguageModel {
    let description: ModelDescription
    private let vision: VisionShape
    private let patches: PatchOptions
    /// The convolution over both frames, which are the same picture, as one product [C, 3 · patch²].
    private let embedding: Linear
    /// f32 [side², C].
    private let positions: Tensor?
    private let blocks: [VisionBlock]
    private let merger: Projector
    /// One for each of the shape's `deepLayers`.
    private let deepMergers: [Projector]
    private let decoder: DecoderStack
    private let rotary: RotaryTable
    private let device: any Device

    /// What a version calls its weights.
    struct Names: Sendable {
        let block: VisionBlock.Names
        let merger: Projector.Names
        let hasPatchBias: Bool
    }

    /// Layouts have the towers in different places; the published ones come first.
    private static let visionPlaces = ["visual", "model.visual", "vision_tower"]
    private static let textPlaces = ["model", "model.language_model", "language_model.model"]
    private static let headPlaces = ["", "model", "language_model"]
    private static let frames = 2

    /// Takes the weights of a description whose vision tower takes patches.
    init(
        _ description: ModelDescription, _ vision: VisionShape, _ patches: PatchOptions, _ names: Names,
        _ loader: Loader,
    ) throws(ModelError) {
        let width = vision.hiddenSize, joined = patches.mergeSize * patches.mergeSize
        let outputs = description.text.hiddenSize
        let tower = loader.forVision.first(of: Self.visionPlaces, with: "patch_embed.proj.weight")
        embedding = try Self.embedding(tower, width, patches.patchSize, hasBias: names.hasPatchBias)
        if let side = vision.positionSide {
            positions = try tower.vector("pos_embed.weight", shape: [side * side, width])
        } else {
            positions = nil
        }
        blocks = try tower["blocks"].layers(vision.layerCount) { (loader) throws(ModelError) in
            try VisionBlock(loader, names.block, vision)
        }
        merger = try Projector(
            tower["merger"], names.merger, norm: vision.norm, normed: width, joined: joined,
            inner: joined * width, outputs: outputs)
        deepMergers = try tower["deepstack_merger_list"].layers(vision.deepLayers.count) {
            (loader) throws(ModelError) in
            // The norm is over the joined patches.
            try Projector(
                loader, names.merger, norm: vision.norm, normed: joined * width, joined: 1,
                inner: joined * width, outputs: outputs)
        }
        decoder = try DecoderStack(
            loader.forText.first(of: Self.textPlaces, with: "\(description.text.names.embedding).weight"),
            head: loader.forText.first(of: Self.headPlaces, with: "\(description.text.names.head).weight"),
            description.text)
        rotary = try ModelError.wrapping { () throws(DeviceError) in
            try .plane(
                positions: patches.longestSide, headDim: vision.headDim, device: loader.device)
        }
        self.description = description
        self.vision = vision
        self.patches = patches
        device = loader.device
    }

    private static func embedding(
        _ tower: Loader, _ width: Int, _ size: Int, hasBias: Bool,
    ) throws(ModelError) -> Linear {
        let kernel = try tower.take("patch_embed.proj.weight", shape: [width, 3, frames, size, size])
        let summed = try ModelError.wrapping { () throws(CheckpointError) in
            try kernel.reshaped([width * 3, frames, size * size]).summedOverMiddle()
        }
        return try Linear(
            tower, matrices: [summed.reshaped([width, 3 * size * size])],
            biases: hasBias ? [try tower.take("patch_embed.proj.bias", shape: [width])] : [])
    }

    func encode(tiles: Tensor, grids: [TokenGrid], workspace: Workspace) throws(DeviceError) -> Tensor {
        let patchCount = tiles.shape[0], joined = patches.mergeSize * patches.mergeSize
        let layout = PatchLayout(grids, patches), tokenCount = layout.tokens.count
        precondition(tokenCount * joined == patchCount, "the grids are all patches")
        let planes = vision.planeCount, outputs = description.text.hiddenSize, operators = device.operators
        // [tokens · planes, hidden]
        let embeddings = try workspace.take([tokenCount * planes, outputs], .f32)
        let mark = workspace.mark
        let stream = try workspace.take([patchCount, vision.hiddenSize], .f32)  // [P, C]
        // The planes one after another, tokens in the tower's order, [planes · tokens, hidden].
        let merged = try workspace.take([planes * tokenCount, outputs], .f32)
        let places = try upload(layout.rows + layout.columns, workspace, [2, patchCount])
        let whole = PackedSequences(
            starts: try upload(layout.pictureStarts, workspace), longest: layout.longestPicture)
        let windows = PackedSequences(
            starts: try upload(layout.windowStarts, workspace), longest: layout.longestWindow)
        let inner = workspace.mark
        try embed(tiles, layout, into: stream, workspace: workspace)
        workspace.rewind(to: inner)
        let pictures = stream.reshaped([tokenCount, joined * vision.hiddenSize])  // [tokens, joined · C]
        for (index, block) in blocks.enumerated() {
            // Without windows both are the same.
            try block(
                stream, sequences: vision.wholeLayers.contains(index) ? whole : windows,
                rotation: VisionBlock.Rotation(table: rotary, positions: places), workspace: workspace)
            guard let deep = vision.deepLayers.firstIndex(of: index) else { continue }
            let plane = ((deep + 1) * tokenCount)..<((deep + 2) * tokenCount)
            try deepMergers[deep](pictures, into: merged[plane], workspace: workspace)
            workspace.rewind(to: inner)
        }
        try merger(stream, into: merged[0..<tokenCount], workspace: workspace)
        let order = layout.inverse.flatMap { token in
            (0..<planes).map { Int32($0 * tokenCount) + token }
        }
        operators.gatherRows(merged, rows: try upload(order, workspace), out: embeddings)
        workspace.rewind(to: mark)
        return embeddings
    }

    /// The patches' first values, with their learned positions, into `stream` f32 [P, C].
    private func embed(
        _ tiles: Tensor, _ layout: PatchLayout, into stream: Tensor, workspace: Workspace,
    ) throws(DeviceError) {
        let operators = device.operators, patchCount = tiles.shape[0]
        // [P, 3 · patch²]
        let pixels = try workspace.take(
            [patchCount, 3 * patches.patchSize * patches.patchSize], operators.operandType)
        operators.patchRows(
            tiles: tiles, patchSize: patches.patchSize, mean: vision.mean, deviation: vision.deviation,
            out: pixels)
        embedding(.rows(pixels), into: stream)
        guard let positions, let side = vision.positionSide else { return }
        let (indices, weights) = layout.interpolation(side: side)
        let shares = try workspace.take([patchCount, 4], .f32)  // [P, 4]
        device.write(weights, to: shares)
        operators.addRows(
            of: positions, rows: try upload(indices, workspace, [patchCount, 4]), weights: shares, to: stream)
    }

    private func upload(
        _ values: [Int32], _ workspace: Workspace, _ shape: Shape? = nil,
    ) throws(DeviceError) -> Tensor {
        let tensor = try workspace.take(shape ?? [values.count], .i32)
        device.write(values, to: tensor)
        return tensor
    }

    var cacheHeads: HeadLayout { decoder.cacheHeads }

    func forward(_ batch: Batch, workspace: Workspace) throws(DeviceError) -> Tensor {
        try decoder.forward(batch, workspace: workspace)
    }

    /// Whether the model has no use for `tensor`: a tied head, and what older files keep.
    static func mayRemain(_ tensor: String, _ description: ModelDescription) -> Bool {
        tensor.hasSuffix("rotary_pos_emb.inv_freq") || description.text.leavesOut(tensor)
    }
}
