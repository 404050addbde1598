import Tensors

/// Normalises tiles, turns their patches into rows, and adds the class token, if there is one, and positions.
struct PatchEmbedding: Sendable {
    /// The convolution as a product, [C, 3 · patchSize²].
    private let projection: Linear
    /// f32 [C].
    private let classToken: Tensor?
    /// f32 [1 + P, C], or [P, C] without a class token.
    private let positions: Tensor
    private let shape: VisionShape
    private let device: any Device
    private var operators: any Operators { device.operators }

    /// The names of its weights.
    struct Names: Sendable {
        /// nil for a tower without one.
        let classToken: String?
        let positions: String
        let projection: String
        var hasBias = true
        /// Whether class token and positions are stored as [C] and [positions, C].
        var areFlat = false
    }

    /// Takes the weights by `names`.
    init(_ loader: Loader, _ names: Names, _ shape: VisionShape) throws(ModelError) {
        let width = shape.hiddenSize
        let patchCount = shape.patchesPerSide * shape.patchesPerSide
        let kernel = try loader.take(
            "\(names.projection).weight", shape: [width, 3, shape.patchSize, shape.patchSize])
        let bias = names.hasBias ? try loader.take("\(names.projection).bias", shape: [width]) : nil
        let columns = 3 * shape.patchSize * shape.patchSize
        projection = try Linear(
            loader, matrices: [kernel.reshaped([width, columns])], biases: bias.map { [$0] } ?? [])
        if let name = names.classToken {
            classToken = try loader.vector(name, shape: names.areFlat ? [width] : [1, 1, width])
                .reshaped([width])
        } else {
            classToken = nil
        }
        let length = patchCount + (names.classToken == nil ? 0 : 1)
        positions = try loader.vector(
            names.positions, shape: names.areFlat ? [length, width] : [1, length, width]
        ).reshaped([length, width])
        self.shape = shape
        device = loader.device
    }

    /// The tokens of `tiles` (u8 [n, side, side, 3]) into `out`, f32 [n, 1 + P, C], or [n, P, C] without a class token.
    func callAsFunction(_ tiles: Tensor, into out: Tensor, workspace: Workspace) throws(DeviceError) {
        let length = positions.shape[0]
        let patchCount = tiles.shape[0] * (length - (classToken == nil ? 0 : 1))
        let mark = workspace.mark
        // [n · P, 3 · patch²]
        let rows = try workspace.take(
            [patchCount, 3 * shape.patchSize * shape.patchSize], operators.operandType)
        operators.patchRows(
            tiles: tiles, patchSize: shape.patchSize, mean: shape.mean, deviation: shape.deviation, out: rows)
        if let classToken {
            let patches = try projection(.rows(rows), workspace: workspace)  // [n · P, C]
            operators.addPositions(patches: patches, classToken: classToken, positions: positions, out: out)
        } else {
            let stream = out.reshaped([patchCount, positions.shape[1]])  // [n · P, C]
            projection(.rows(rows), into: stream)
            let places = try workspace.take([patchCount, 1], .i32)
            device.write((0..<patchCount).map { Int32($0 % length) }, to: places)
            operators.addRows(of: positions, rows: places, weights: nil, to: stream)
        }
        workspace.rewind(to: mark)
    }
}
