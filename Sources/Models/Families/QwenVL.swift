import Checkpoints
import Images
import Tensors

/// Qwen2-VL and Qwen2.5-VL: a picture at its own size through a tower with rotary positions, 2 × 2 patches joined to a
/// token, merged into a text tower with positions in three dimensions.
///
/// Papers: https://arxiv.org/abs/2409.12191, https://arxiv.org/abs/2502.13923. In the latter most layers attend within
/// windows, and the MLPs are gated.
struct QwenVL: VisionLanguageModel {
    let description: ModelDescription
    private let vision: VisionShape
    private let patches: PatchOptions
    /// The convolution over both frames, which are the same picture, as one product [C, 3 · patch²].
    private let embedding: Linear
    private let blocks: [VisionBlock]
    private let merger: Projector
    private let decoder: DecoderStack
    private let rotary: RotaryTable
    private let device: any Device

    /// Layouts have the towers in different places; the published one comes first.
    private static let visionPlaces = ["visual", "model.visual"]
    private static let textPlaces = ["model", "model.language_model", "language_model.model"]
    private static let headPlaces = ["", "model", "language_model"]
    private static let frames = 2
    private static let names = VisionBlock.Names(
        attentionNorm: "norm1", attention: "attn", qkv: ["qkv"], output: "proj", mlpNorm: "norm2")

    /// Takes the weights of a description whose vision tower takes patches.
    init(
        _ description: ModelDescription, _ vision: VisionShape, _ patches: PatchOptions, _ loader: Loader,
    ) throws(ModelError) {
        let width = vision.hiddenSize, size = patches.patchSize,
            joined = patches.mergeSize * patches.mergeSize
        let tower = loader.first(of: Self.visionPlaces, with: "patch_embed.proj.weight")
        let kernel = try tower.take(
            "patch_embed.proj.weight", shape: [width, 3, Self.frames, size, size])
        let summed = try ModelError.wrapping { () throws(CheckpointError) in
            try kernel.reshaped([width * 3, Self.frames, size * size]).summedOverMiddle()
        }
        embedding = try Linear(tower, matrices: [summed.reshaped([width, 3 * size * size])])
        blocks = try tower["blocks"].layers(vision.layerCount) { (loader) throws(ModelError) in
            try VisionBlock(loader, Self.names, vision)
        }
        merger = try Projector(
            tower["merger"], Projector.Names(norm: "ln_q", up: "mlp.0", down: "mlp.2"), norm: vision.norm,
            normed: width, joined: joined, inner: joined * width, outputs: description.text.hiddenSize)
        decoder = try DecoderStack(
            loader.first(of: Self.textPlaces, with: "\(description.text.names.embedding).weight"),
            head: loader.first(of: Self.headPlaces, with: "\(description.text.names.head).weight"),
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

    func encode(tiles: Tensor, grids: [TokenGrid], workspace: Workspace) throws(DeviceError) -> Tensor {
        let patchCount = tiles.shape[0], joined = patches.mergeSize * patches.mergeSize
        let layout = PatchLayout(grids, patches)
        precondition(layout.tokens.count * joined == patchCount, "the grids are all patches")
        let outputs = description.text.hiddenSize, operators = device.operators
        let embeddings = try workspace.take([layout.tokens.count, outputs], .f32)  // [tokens, hidden]
        let mark = workspace.mark
        let stream = try workspace.take([patchCount, vision.hiddenSize], .f32)  // [P, C]
        let places = try upload(layout.rows + layout.columns, workspace, [2, patchCount])
        let whole = PackedSequences(
            starts: try upload(layout.pictureStarts, workspace), longest: layout.longestPicture)
        let windows = PackedSequences(
            starts: try upload(layout.windowStarts, workspace), longest: layout.longestWindow)
        let inner = workspace.mark
        // [P, 3 · patch²]
        let pixels = try workspace.take(
            [patchCount, 3 * patches.patchSize * patches.patchSize], operators.operandType)
        operators.patchRows(
            tiles: tiles, patchSize: patches.patchSize, mean: vision.mean, deviation: vision.deviation,
            out: pixels)
        embedding(.rows(pixels), into: stream)
        workspace.rewind(to: inner)
        for (index, block) in blocks.enumerated() {
            let isWhole = patches.window == nil || vision.wholeLayers.contains(index)
            try block(
                stream, sequences: isWhole ? whole : windows,
                rotation: VisionBlock.Rotation(table: rotary, positions: places), workspace: workspace)
        }
        let merged = try workspace.take(embeddings.shape, .f32)  // [tokens, hidden], in the tower's order
        try merger(stream, into: merged, workspace: workspace)
        operators.gatherRows(merged, rows: try upload(layout.inverse, workspace), out: embeddings)
        workspace.rewind(to: mark)
        return embeddings
    }

    private func upload(
        _ values: [Int32], _ workspace: Workspace, _ shape: Shape? = nil,
    ) throws(DeviceError) -> Tensor {
        let tensor = try workspace.take(shape ?? [values.count], .i32)
        device.write(values, to: tensor)
        return tensor
    }

    func forward(_ batch: Batch, workspace: Workspace) throws(DeviceError) -> Tensor {
        try decoder.forward(batch, workspace: workspace)
    }

    /// Whether the model has no use for `tensor`: a tied head, and what older files keep.
    static func mayRemain(_ tensor: String, _ description: ModelDescription) -> Bool {
        if tensor.hasSuffix("rotary_emb.inv_freq") || tensor.hasSuffix("rotary_pos_emb.inv_freq") {
            return true
        }
        return ".\(tensor)".hasSuffix(".\(description.text.names.head).weight")
            && description.text.tiesEmbeddings
    }
}

/// Where the patches of several pictures stand, one picture after another, each in the tower's order.
private struct PatchLayout {
    /// For each token in the tower's order its number among all, row by row in each picture.
    private(set) var tokens: [Int32] = []
    /// For each patch its row and its column in its picture.
    private(set) var rows: [Int32] = []
    private(set) var columns: [Int32] = []
    /// The first patch of each picture and of each window, then the number of all.
    private(set) var pictureStarts: [Int32] = [0]
    private(set) var windowStarts: [Int32] = [0]
    /// Patches of the largest.
    private(set) var longestPicture = 0
    private(set) var longestWindow = 0

    init(_ grids: [TokenGrid], _ patches: PatchOptions) {
        let merge = patches.mergeSize, joined = merge * merge
        for grid in grids {
            let first = Int32(tokens.count), order = grid.order(window: patches.window)
            for token in order.tokens {
                tokens.append(first + Int32(token))
                for patch in 0..<joined {
                    rows.append(Int32(token / grid.columns * merge + patch / merge))
                    columns.append(Int32(token % grid.columns * merge + patch % merge))
                }
            }
            for window in order.windows {
                windowStarts.append((windowStarts.last ?? 0) + Int32(window * joined))
                longestWindow = max(longestWindow, window * joined)
            }
            pictureStarts.append(Int32(tokens.count * joined))
            longestPicture = max(longestPicture, grid.count * joined)
        }
    }

    /// For each token where it is in the tower's order.
    var inverse: [Int32] {
        var inverse = [Int32](repeating: 0, count: tokens.count)
        // Safe: a permutation.
        for (place, token) in tokens.enumerated() { inverse[Int(token)] = Int32(place) }
        return inverse
    }
}
