import Tensors

/// Makes a fixed number of tokens of a view's patches: learned queries attend to them once.
///
/// Paper: https://arxiv.org/abs/2308.12966, section 2.1. Every rank has all of it.
struct Resampler: Sendable {
    /// [E, C]; nil where patches are as wide as tokens.
    private let input: Linear?
    private let inputNorm: Norm
    /// Of the patches, which are added to keys; as they are stored, of the queries.
    private let positions: StretchedPositions
    /// f32 [Q, E].
    private let queries: Tensor
    private let queryNorm: Norm
    /// Of queries, keys and values, each [E, E].
    private let projections: [Linear]
    /// [E, E].
    private let output: Linear
    private let headCount: Int
    /// P.
    private let patchCount: Int
    private let width: Int
    private let device: any Device
    private var operators: any Operators { device.operators }

    /// Takes the layer of a tower that has one; tokens are `width` wide.
    init(
        _ loader: Loader, _ vision: VisionShape, _ shape: ResamplerShape, width: Int,
    ) throws(ModelError) {
        input =
            vision.hiddenSize == width
            ? nil
            : try Linear(loader, "kv_proj", outputs: width, inputs: vision.hiddenSize, hasBias: false)
        inputNorm = try Norm(vision.norm, loader, "ln_kv", count: width)
        positions = try StretchedPositions(
            loader, "pos_embed", side: shape.side, width: width, over: vision.patchesPerSide)
        queries = try loader.vector("query", shape: [shape.side * shape.side, width])
        queryNorm = try Norm(vision.norm, loader, "ln_q", count: width)
        let attention = loader["attn"]
        let matrix = try attention.take("in_proj_weight", shape: [3 * width, width])
        let bias = try attention.take("in_proj_bias", shape: [3 * width])
        projections = try [0, 1, 2].map { (part: Int) throws(ModelError) in
            let rows = (part * width)..<((part + 1) * width)
            return try Linear(attention, matrices: [matrix[rows]], biases: [bias[rows]])
        }
        output = try Linear(attention, "out_proj", outputs: width, inputs: width, hasBias: true)
        headCount = shape.heads
        self.width = width
        patchCount = vision.patchesPerSide * vision.patchesPerSide
        device = loader.device
    }

    /// The tokens of n views, f32 [n · Q, E], into `out`; `patches` is f32 [n · P, C].
    func callAsFunction(_ patches: Tensor, into out: Tensor, workspace: Workspace) throws(DeviceError) {
        let mark = workspace.mark, queryCount = queries.shape[0]
        let all = try upload(0..<Int32(patchCount), workspace)
        let order = try upload((0..<Int32(patchCount)).map { $0 < queryCount ? $0 : 0 }, workspace)
        let projected = try projectedQueries(workspace)
        // [P, E]: in the first rows the queries, of which there are no more than patches.
        let asked = try workspace.take([patchCount, width], .f32)
        operators.gatherRows(projected, rows: order, out: asked)
        let inner = workspace.mark
        // One by one, as what lies between is many times as large as a view.
        for view in 0..<(patches.shape[0] / patchCount) {
            let source = (view * patchCount)..<((view + 1) * patchCount)
            let target = (view * queryCount)..<((view + 1) * queryCount)
            try resample(patches[source], asking: asked, all, into: out[target], workspace: workspace)
            workspace.rewind(to: inner)
        }
        workspace.rewind(to: mark)
    }

    /// The tokens of one view.
    ///
    /// Attention is within rows of queries, keys and values; what comes of those rows that have no query of their own is
    /// left out.
    private func resample(
        _ patches: Tensor, asking asked: Tensor, _ all: Tensor, into out: Tensor, workspace: Workspace,
    ) throws(DeviceError) {
        let normed = try workspace.take([patchCount, width], .f32)  // [P, E]
        try norm(patches, all, into: normed, workspace: workspace)
        let rows = try workspace.take([patchCount, width], operators.operandType)  // [P, E]
        let part = try workspace.take([patchCount, width], .f32)  // [P, E]
        let fused = try workspace.take([patchCount, 3 * width], .f32)  // [P, 3 · E]
        operators.placeColumns(asked, at: 0, of: fused)
        operators.gatherRows(normed, rows: all, out: rows)
        projections[2](.rows(rows), into: part)
        operators.placeColumns(part, at: 2 * width, of: fused)
        // Keys know the places of their patches, values do not.
        positions.add(to: normed)
        operators.gatherRows(normed, rows: all, out: rows)
        projections[1](.rows(rows), into: part)
        operators.placeColumns(part, at: width, of: fused)
        let operands = try workspace.take(fused.shape, operators.operandType)  // [P, 3 · E]
        operators.gatherRows(fused, rows: all, out: operands)
        let headDim = width / headCount
        operators.fullAttention(
            qkv: operands, sequences: PackedSequences(count: 1, length: patchCount), heads: headCount,
            headDim: headDim, scale: 1 / Float(headDim).squareRoot(), out: rows)
        output(.rows(rows[0..<out.shape[0]]), into: out)
    }

    /// The patches brought to the tokens' width and normed, f32 [P, E].
    private func norm(
        _ patches: Tensor, _ all: Tensor, into normed: Tensor, workspace: Workspace,
    ) throws(DeviceError) {
        guard let input else { return inputNorm(patches, into: normed) }
        let mark = workspace.mark
        let operands = try workspace.take(patches.shape, operators.operandType)  // [P, C]
        operators.gatherRows(patches, rows: all, out: operands)
        let wide = try workspace.take(normed.shape, .f32)  // [P, E]
        input(.rows(operands), into: wide)
        inputNorm(wide, into: normed)
        workspace.rewind(to: mark)
    }

    /// The queries as attention takes them, f32 [Q, E].
    private func projectedQueries(_ workspace: Workspace) throws(DeviceError) -> Tensor {
        let all = try upload(0..<Int32(queries.shape[0]), workspace)
        let normed = try workspace.take(queries.shape, .f32)
        queryNorm(queries, into: normed)
        operators.addRows(
            of: positions.table, rows: all.reshaped([queries.shape[0], 1]), weights: nil, to: normed)
        let operands = try workspace.take(queries.shape, operators.operandType)
        operators.gatherRows(normed, rows: all, out: operands)
        let projected = try workspace.take(queries.shape, .f32)
        projections[0](.rows(operands), into: projected)
        return projected
    }

    private func upload(
        _ values: some Collection<Int32>, _ workspace: Workspace,
    ) throws(DeviceError) -> Tensor {
        let tensor = try workspace.take([values.count], .i32)
        device.write(Array(values), to: tensor)
        return tensor
    }
}
