import Checkpoints
import Images
import Tensors

/// Gemma 3: a square view through SigLIP, its patches averaged in squares, normed and projected, merged into a text tower
/// whose layers mostly see a window.
///
/// Report: https://arxiv.org/abs/2503.19786.
struct Gemma3: VisionLanguageModel {
    let description: ModelDescription
    private let vision: VisionShape
    private let embedding: PatchEmbedding
    private let blocks: [VisionBlock]
    private let lastNorm: Norm
    /// Patches along a side of the square that becomes one image token.
    private let squareSide: Int
    private let tokensPerView: Int
    private let projectorNorm: Norm
    /// [hidden, C].
    private let projection: Linear
    private let decoder: DecoderStack
    private let device: any Device

    /// Takes the weights of a description whose vision tower sees `views`.
    init(
        _ description: ModelDescription, _ vision: VisionShape, _ views: ViewOptions, _ loader: Loader,
    ) throws(ModelError) {
        let names = PatchEmbedding.Names(
            classToken: nil, positions: "embeddings.position_embedding.weight",
            projection: "embeddings.patch_embedding", areFlat: true)
        let tower = loader.forVision.first(of: Llava.visionPlaces, with: names.positions)
        embedding = try PatchEmbedding(tower, names, vision)
        blocks = try tower["encoder.layers"].layers(vision.layerCount) { (loader) throws(ModelError) in
            try VisionBlock(loader, Llava.block, vision)
        }
        lastNorm = try Norm(vision.norm, tower, "post_layernorm", count: vision.hiddenSize)
        let matrix = "mm_input_projection_weight"
        let projector = loader.first(of: Llava.projectorPlaces, with: matrix)
        guard case .layer(let epsilon) = vision.norm else { preconditionFailure("SigLIP has layer norms") }
        projectorNorm = try Norm(
            rms: projector, "mm_soft_emb_norm", count: vision.hiddenSize, epsilon: epsilon, shift: 1)
        let stored = try projector.take(matrix, shape: [vision.hiddenSize, description.text.hiddenSize])
        projection = try Linear(
            projector,
            matrices: [ModelError.wrapping { () throws(CheckpointError) in try stored.transposed() }])
        decoder = try DecoderStack(
            loader.forText.first(
                of: Llava.textPlaces, with: "\(description.text.names.embedding).weight"),
            head: loader.forText.first(of: Llava.headPlaces, with: "\(description.text.names.head).weight"),
            description.text)
        squareSide = vision.patchesPerSide / Int(Double(views.tokensPerView).squareRoot())
        tokensPerView = views.tokensPerView
        self.description = description
        self.vision = vision
        device = loader.device
    }

    func encode(tiles: Tensor, grids: [TokenGrid], workspace: Workspace) throws(DeviceError) -> Tensor {
        let viewCount = tiles.shape[0], operators = device.operators
        let length = vision.patchesPerSide * vision.patchesPerSide
        let tokenCount = viewCount * tokensPerView
        // [n · tokens, hidden]
        let embeddings = try workspace.take([tokenCount, description.text.hiddenSize], .f32)
        let mark = workspace.mark
        // [n · patches, C]
        let stream = try workspace.take([viewCount * length, vision.hiddenSize], .f32)
        try embedding(
            tiles, into: stream.reshaped([viewCount, length, vision.hiddenSize]), workspace: workspace)
        let sequences = PackedSequences(count: viewCount, length: length)
        for block in blocks { try block(stream, sequences: sequences, workspace: workspace) }
        let normed = try workspace.take(stream.shape, .f32)  // [n · patches, C]
        lastNorm(stream, into: normed)
        let pooled = try workspace.take([tokenCount, vision.hiddenSize], .f32)  // [n · tokens, C]
        let area = squareSide * squareSide
        let rows = try workspace.take([tokenCount, area], .i32)
        let shares = try workspace.take([tokenCount, area], .f32)
        device.write(squares(viewCount), to: rows)
        device.write([Float](repeating: 1 / Float(area), count: tokenCount * area), to: shares)
        operators.clear(pooled)
        operators.addRows(of: normed, rows: rows, weights: shares, to: pooled)
        let joined = try workspace.take(pooled.shape, operators.operandType)  // [n · tokens, C]
        projectorNorm(pooled, into: joined)
        projection(.rows(joined), into: embeddings)
        workspace.rewind(to: mark)
        return embeddings
    }

    /// The patches of each image token of `viewCount` views, token by token.
    private func squares(_ viewCount: Int) -> [Int32] {
        let side = vision.patchesPerSide
        var rows: [Int32] = []
        rows.reserveCapacity(viewCount * side * side)
        for view in 0..<viewCount {
            for top in stride(from: 0, to: side, by: squareSide) {
                for left in stride(from: 0, to: side, by: squareSide) {
                    for row in top..<(top + squareSide) {
                        let first = (view * side + row) * side + left
                        rows += (first..<(first + squareSide)).map { Int32($0) }
                    }
                }
            }
        }
        return rows
    }

    var cacheHeads: HeadLayout { decoder.cacheHeads }

    func forward(_ batch: Batch, workspace: Workspace) throws(DeviceError) -> Tensor {
        try decoder.forward(batch, workspace: workspace)
    }
}
