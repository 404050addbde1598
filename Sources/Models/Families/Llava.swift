import Checkpoints
import Images
import Tensors

/// LLaVA, LLaVA-NeXT and LLaVA-OneVision: square views through CLIP or SigLIP, what an inner layer gives for each patch projected, merged into a text tower.
///
/// Papers: https://arxiv.org/abs/2310.03744, https://arxiv.org/abs/2408.03326. The second and the third see a picture as a
/// whole and in tiles, and learn a newline that stands behind each row of tokens.
struct Llava: VisionLanguageModel {
    let description: ModelDescription
    private let vision: VisionShape
    private let features: FeatureChoice
    private let embedding: PatchEmbedding
    /// What CLIP has before its first layer.
    private let firstNorm: Norm?
    private let blocks: [VisionBlock]
    private let projector: Projector
    /// f32 [1, hidden]; nil for views without tiles.
    private let newline: Tensor?
    private let decoder: DecoderStack
    private let device: any Device

    /// Layouts have the towers in different places; the published ones come first.
    static let visionPlaces = [
        "vision_tower.vision_model", "vision_tower", "model.vision_tower", "model.vision_tower.vision_model",
    ]
    static let projectorPlaces = ["multi_modal_projector", "model.multi_modal_projector"]
    static let textPlaces = [
        "language_model.model", "model.language_model", "model.language_model.model",
    ]
    static let headPlaces = ["language_model", "", "model.language_model"]
    static let block = VisionBlock.Names(
        attentionNorm: "layer_norm1", attention: "self_attn",
        qkv: .separate(queries: "q_proj", keys: "k_proj", values: "v_proj"), output: "out_proj",
        mlpNorm: "layer_norm2")

    /// Takes the weights of a description whose vision tower has `features`.
    init(
        _ description: ModelDescription, _ vision: VisionShape, _ features: FeatureChoice, _ loader: Loader,
    ) throws(ModelError) {
        let names = PatchEmbedding.Names(
            classToken: features.hasClassToken ? "embeddings.class_embedding" : nil,
            positions: "embeddings.position_embedding.weight", projection: "embeddings.patch_embedding",
            hasBias: !features.hasClassToken, areFlat: true)
        let tower = loader.forVision.first(of: Self.visionPlaces, with: names.positions)
        embedding = try PatchEmbedding(tower, names, vision)
        firstNorm =
            features.hasClassToken
            ? try Norm(vision.norm, tower, "pre_layrnorm", count: vision.hiddenSize) : nil
        blocks = try tower["encoder.layers"].layers(vision.layerCount) { (loader) throws(ModelError) in
            try VisionBlock(loader, Self.block, vision)
        }
        let layers = Projector.Names(norm: nil, up: "linear_1", down: "linear_2")
        projector = try Projector(
            loader.first(of: Self.projectorPlaces, with: "\(layers.up).weight"), layers, norm: vision.norm,
            normed: vision.projectorInputs, joined: 1, inner: description.text.hiddenSize,
            outputs: description.text.hiddenSize, hasBias: features.hasProjectorBias,
            activation: features.projectorActivation)
        if vision.cut.isWhole {
            let hidden = description.text.hiddenSize
            newline = try loader.first(of: ["", "model"], with: "image_newline")
                .vector("image_newline", shape: [hidden]).reshaped([1, hidden])
        } else {
            newline = nil
        }
        decoder = try DecoderStack(
            loader.forText.first(
                of: Self.textPlaces, with: "\(description.text.names.embedding).weight"),
            head: loader.forText.first(of: Self.headPlaces, with: "\(description.text.names.head).weight"),
            description.text)
        self.description = description
        self.vision = vision
        self.features = features
        device = loader.device
    }

    func encode(tiles: Tensor, grids: [TokenGrid], workspace: Workspace) throws(DeviceError) -> Tensor {
        guard let newline else { return try project(tiles, workspace: workspace) }
        let hidden = description.text.hiddenSize
        let views = grids.compactMap(\.views), tokensPerView = vision.patchesPerSide * vision.patchesPerSide
        precondition(views.reduce(0) { $0 + $1.viewCount } == tiles.shape[0], "the grids are all views")
        // [tokens, hidden]
        let embeddings = try workspace.take([grids.reduce(0) { $0 + $1.count }, hidden], .f32)
        let mark = workspace.mark
        // All tokens of all views, then the newline, [n · tokens + 1, hidden].
        let viewTokenCount = tiles.shape[0] * tokensPerView
        let table = try workspace.take([viewTokenCount + 1, hidden], .f32)
        let inner = workspace.mark
        let projected = try project(tiles, workspace: workspace)
        copy(projected, to: table[0..<viewTokenCount], rows: try upload(0..<Int32(viewTokenCount), workspace))
        copy(newline, to: table[viewTokenCount..<(viewTokenCount + 1)], rows: try upload(0..<1, workspace))
        workspace.rewind(to: inner)
        var sources: [Int32] = [], shares: [Float] = [], first = 0
        for grid in views {
            let (rows, weights) = grid.sources(first: first, newline: viewTokenCount)
            sources += rows
            shares += weights
            first += grid.viewCount * tokensPerView
        }
        let rows = try upload(sources, workspace)
        let weights = try workspace.take([shares.count], .f32)
        device.write(shares, to: weights)
        device.operators.clear(embeddings)
        device.operators.addRows(of: table, rows: rows, weights: weights, to: embeddings)
        workspace.rewind(to: mark)
        return embeddings
    }

    private func copy(_ x: Tensor, to out: Tensor, rows: Tensor) {
        device.operators.gatherRows(x, rows: rows, out: out)
    }

    private func upload(
        _ values: some Collection<Int32>, _ workspace: Workspace,
    ) throws(DeviceError) -> Tensor {
        let tensor = try workspace.take([values.count], .i32)
        device.write(Array(values), to: tensor)
        return tensor
    }

    /// The tokens of the views `tiles`, one view after another, f32 [n · tokens, hidden].
    private func project(_ tiles: Tensor, workspace: Workspace) throws(DeviceError) -> Tensor {
        let viewCount = tiles.shape[0], operators = device.operators
        let length = vision.patchesPerSide * vision.patchesPerSide + (features.hasClassToken ? 1 : 0)
        let kept = (features.dropsFirst ? 1 : 0)..<length, planes = features.layers.count
        // [n · tokens, hidden]
        let embeddings = try workspace.take([viewCount * kept.count, description.text.hiddenSize], .f32)
        let mark = workspace.mark
        // The values after each of the chosen layers, one after another, [planes · n · length, C].
        let taken = try workspace.take([planes * viewCount * length, vision.hiddenSize], .f32)
        let inner = workspace.mark
        try run(tiles, length: length, into: taken, workspace: workspace)
        workspace.rewind(to: inner)
        var order: [Int32] = []
        order.reserveCapacity(viewCount * kept.count * planes)
        for view in 0..<viewCount {
            for token in kept {
                for plane in 0..<planes {
                    order.append(Int32((plane * viewCount + view) * length + token))
                }
            }
        }
        let rows = try upload(order, workspace)
        // [n · tokens, planes · C]
        let joined = try workspace.take(
            [viewCount * kept.count, planes * vision.hiddenSize], operators.operandType)
        operators.gatherRows(taken, rows: rows, out: joined)
        try projector(operands: joined, into: embeddings, workspace: workspace)
        workspace.rewind(to: mark)
        return embeddings
    }

    /// Runs the tower on `tiles`, views of `length` tokens; `taken` gets the values after each of the chosen layers, f32
    /// [planes · n · length, C].
    private func run(
        _ tiles: Tensor, length: Int, into taken: Tensor, workspace: Workspace,
    ) throws(DeviceError) {
        let viewCount = tiles.shape[0], rowCount = viewCount * length
        // [n · length, C]
        let stream = try workspace.take([rowCount, vision.hiddenSize], .f32)
        let all = try upload(0..<Int32(rowCount), workspace)
        let mark = workspace.mark
        let embedded =
            firstNorm == nil ? stream : try workspace.take([rowCount, vision.hiddenSize], .f32)
        try embedding(
            tiles, into: embedded.reshaped([viewCount, length, vision.hiddenSize]), workspace: workspace)
        firstNorm?(embedded, into: stream)
        workspace.rewind(to: mark)
        let sequences = PackedSequences(count: viewCount, length: length)
        for layer in 0...blocks.count {
            for (plane, chosen) in features.layers.enumerated() where chosen == layer {
                device.operators.gatherRows(
                    stream, rows: all, out: taken[(plane * rowCount)..<((plane + 1) * rowCount)])
            }
            guard layer < blocks.count else { break }
            try blocks[layer](stream, sequences: sequences, workspace: workspace)
        }
    }

    var cacheHeads: HeadLayout { decoder.cacheHeads }

    func forward(_ batch: Batch, workspace: Workspace) throws(DeviceError) -> Tensor {
        try decoder.forward(batch, workspace: workspace)
    }

    /// Whether the model has no use for `tensor`: what follows the chosen layers, a tied head, and what older files keep.
    static func mayRemain(_ tensor: String, _ description: ModelDescription) -> Bool {
        if tensor.hasSuffix("position_ids") || description.text.leavesOut(tensor) { return true }
        return visionPlaces.contains { tower in
            guard tensor.hasPrefix("\(tower).") else { return false }
            let rest = tensor.dropFirst(tower.count + 1), layers = "encoder.layers."
            if rest.hasPrefix("post_layernorm.") || rest.hasPrefix("head.") { return true }
            guard rest.hasPrefix(layers) else { return false }
            let layer = rest.dropFirst(layers.count).prefix { $0 != "." }
            return Int(layer).map { $0 >= description.vision?.layerCount ?? 0 } ?? false
        }
    }
}
