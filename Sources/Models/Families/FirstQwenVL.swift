import Checkpoints
import Images
import Tensors

/// Qwen-VL, the first of them: a square view through a tower with learned positions, resampled to a fixed number of
/// tokens, merged into Qwen.
///
/// Paper: https://arxiv.org/abs/2308.12966.
struct FirstQwenVL: VisionLanguageModel {
    let description: ModelDescription
    private let vision: VisionShape
    private let queryCount: Int
    /// The convolution as a product, [C, 3 · patchSize²].
    private let embedding: Linear
    private let positions: StretchedPositions
    private let firstNorm: Norm
    private let blocks: [VisionBlock]
    private let resampler: Resampler
    private let lastNorm: Norm
    /// [hidden, hidden].
    private let projection: Linear
    private let decoder: DecoderStack
    private let device: any Device

    private static let block = VisionBlock.Names(
        attentionNorm: "ln_1", attention: "attn", qkv: .grouped("in_proj"), output: "out_proj",
        mlpNorm: "ln_2", mlp: (up: "c_fc", down: "c_proj"))

    /// Takes the weights of a description whose vision tower has a resampler.
    init(
        _ description: ModelDescription, _ vision: VisionShape, _ shape: ResamplerShape, _ loader: Loader,
    ) throws(ModelError) {
        let width = vision.hiddenSize, hidden = description.text.hiddenSize
        let tower = loader.forVision["transformer.visual"], side = vision.patchSize
        let kernel = try tower.take("conv1.weight", shape: [width, 3, side, side])
        embedding = try Linear(tower, matrices: [kernel.reshaped([width, 3 * side * side])])
        positions = try StretchedPositions(
            tower, "positional_embedding", side: vision.positionSide ?? vision.patchesPerSide, width: width,
            over: vision.patchesPerSide)
        firstNorm = try Norm(vision.norm, tower, "ln_pre", count: width)
        blocks = try tower["transformer.resblocks"].layers(vision.layerCount) {
            (loader) throws(ModelError) in
            try VisionBlock(loader, Self.block, vision)
        }
        resampler = try Resampler(tower["attn_pool"], vision, shape, width: hidden)
        lastNorm = try Norm(vision.norm, tower, "ln_post", count: hidden)
        let matrix = try tower.take("proj", shape: [hidden, hidden])
        projection = try Linear(
            tower,
            matrices: [try ModelError.wrapping { () throws(CheckpointError) in try matrix.transposed() }])
        decoder = try DecoderStack(loader.forText["transformer"], head: loader.forText, description.text)
        self.description = description
        self.vision = vision
        queryCount = shape.side * shape.side
        device = loader.device
    }

    func encode(tiles: Tensor, grids: [TokenGrid], workspace: Workspace) throws(DeviceError) -> Tensor {
        let viewCount = tiles.shape[0], length = vision.patchesPerSide * vision.patchesPerSide
        let operators = device.operators, hidden = description.text.hiddenSize
        let embeddings = try workspace.take([viewCount * queryCount, hidden], .f32)  // [n · Q, hidden]
        let mark = workspace.mark
        let stream = try workspace.take([viewCount * length, vision.hiddenSize], .f32)  // [n · P, C]
        try embed(tiles, into: stream, workspace: workspace)
        let sequences = PackedSequences(count: viewCount, length: length)
        for block in blocks { try block(stream, sequences: sequences, workspace: workspace) }
        let tokens = try workspace.take(embeddings.shape, .f32)  // [n · Q, hidden]
        let normed = try workspace.take(embeddings.shape, operators.operandType)  // [n · Q, hidden]
        try resampler(stream, into: tokens, workspace: workspace)
        lastNorm(tokens, into: normed)
        projection(.rows(normed), into: embeddings)
        workspace.rewind(to: mark)
        return embeddings
    }

    /// The patches of the views `tiles`, with their positions and normed, into `stream`, f32 [n · P, C].
    private func embed(_ tiles: Tensor, into stream: Tensor, workspace: Workspace) throws(DeviceError) {
        let operators = device.operators, mark = workspace.mark
        let embedded = try workspace.take(stream.shape, .f32)  // [n · P, C]
        // [n · P, 3 · patch²]
        let pixels = try workspace.take(
            [stream.shape[0], 3 * vision.patchSize * vision.patchSize], operators.operandType)
        operators.patchRows(
            tiles: tiles, patchSize: vision.patchSize, mean: vision.mean, deviation: vision.deviation,
            out: pixels)
        embedding(.rows(pixels), into: embedded)
        positions.add(to: embedded)
        firstNorm(embedded, into: stream)
        workspace.rewind(to: mark)
    }

    var cacheHeads: HeadLayout { decoder.cacheHeads }

    func forward(_ batch: Batch, workspace: Workspace) throws(DeviceError) -> Tensor {
        try decoder.forward(batch, workspace: workspace)
    }
}
