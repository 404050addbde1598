import Tensors

/// Normalises tiles, turns their patches into rows, and adds the class token and positions.
struct PatchEmbedding: Sendable {
    /// The convolution as a product, [C, 3 · patchSize²].
    private let projection: Linear
    /// f32 [C].
    private let classToken: Tensor
    /// f32 [1 + P, C].
    private let positions: Tensor
    private let shape: VisionShape
    private let operators: any Operators

    /// The names of its three weights; the projection has a bias.
    struct Names: Sendable {
        let classToken: String
        let positions: String
        let projection: String
    }

    /// Takes the weights by `names`.
    init(_ loader: Loader, _ names: Names, _ shape: VisionShape) throws(ModelError) {
        let width = shape.hiddenSize
        let patchCount = shape.patchesPerSide * shape.patchesPerSide
        let kernel = try loader.take(
            "\(names.projection).weight", shape: [width, 3, shape.patchSize, shape.patchSize])
        let bias = try loader.take("\(names.projection).bias", shape: [width])
        let columns = 3 * shape.patchSize * shape.patchSize
        projection = try Linear(loader, matrices: [kernel.reshaped([width, columns])], biases: [bias])
        classToken = try loader.vector(names.classToken, shape: [1, 1, width]).reshaped([width])
        positions = try loader.vector(names.positions, shape: [1, 1 + patchCount, width])
            .reshaped([1 + patchCount, width])
        self.shape = shape
        operators = loader.device.operators
    }

    /// The tokens of `tiles` (u8 [n, side, side, 3]) into `out`, f32 [n, 1 + P, C].
    func callAsFunction(_ tiles: Tensor, into out: Tensor, workspace: Workspace) throws(DeviceError) {
        let patchCount = tiles.shape[0] * (out.shape[1] - 1)
        let mark = workspace.mark
        // [n · P, 3 · patch²]
        let rows = try workspace.take(
            [patchCount, 3 * shape.patchSize * shape.patchSize], operators.operandType)
        operators.patchRows(
            tiles: tiles, patchSize: shape.patchSize, mean: shape.mean, deviation: shape.deviation, out: rows)
        let patches = try projection(.rows(rows), workspace: workspace)  // [n · P, C]
        operators.addPositions(patches: patches, classToken: classToken, positions: positions, out: out)
        workspace.rewind(to: mark)
    }
}
