import Checkpoints
import Tensors

/// The pre-norm decoder that every text tower is a setting of.
struct DecoderStack: Sendable {
    private struct Layer: Sendable {
        let attentionNorm: InputNorm
        let attention: Attention
        /// Norms of what attention and MLP add, in towers that have them.
        let attentionEnd: OutputNorm?
        let mlpNorm: InputNorm
        let mlp: MLP
        let mlpEnd: OutputNorm?
        /// How many tokens it sees back; nil for all.
        let window: Int?
    }

    private enum MLP: Sendable {
        case gated(GatedMLP)
        case experts(Experts)

        func callAsFunction(
            _ x: LinearInput, addingTo stream: Tensor, workspace: Workspace,
        ) throws(DeviceError) {
            switch self {
            case .gated(let mlp): try mlp(x, addingTo: stream, workspace: workspace)
            case .experts(let experts): try experts(x, addingTo: stream, workspace: workspace)
            }
        }
    }

    private let hiddenSize: Int
    private let embedding: Embedding
    private let layers: [Layer]
    private let norm: InputNorm
    private let head: Head
    private let vocabularyCount: Int
    private let rotary: RotaryTable
    /// The table of layers with a window.
    private let slidingRotary: RotaryTable
    private let operators: any Operators

    /// Takes the tower below `loader` by the names of `shape` and, unless tied, the head below `head`.
    init(_ loader: Loader, head headLoader: Loader, _ shape: TextShape) throws(ModelError) {
        let names = shape.names
        let matrix = try loader.take(
            "\(names.embedding).weight", shape: [shape.vocabularyCount, shape.hiddenSize])
        vocabularyCount = shape.vocabularyCount
        let parts = loader.parts(of: shape.vocabularyCount), own = parts[loader.collective?.rank ?? 0]
        embedding = try Embedding(
            loader, rows: matrix[own], firstID: own.lowerBound, scale: shape.embeddingScale)
        let headMatrix =
            shape.tiesEmbeddings
            ? matrix : try headLoader.take("\(names.head).weight", shape: matrix.shape)
        head = try Head(loader, rows: headMatrix[own], parts: parts)
        layers = try loader[names.layers].numberedLayers(shape.layerCount) {
            (loader, index) throws(ModelError) in
            let inner = loader[names.mlp]
            let mlp: MLP
            if let experts = shape.experts, experts.layers.contains(index) {
                mlp = .experts(try Experts(inner, experts, hidden: shape.hiddenSize))
            } else {
                mlp = .gated(try GatedMLP(inner, shape))
            }
            let sliding = shape.sliding.flatMap { $0.layers.contains(index) ? $0 : nil }
            return Layer(
                attentionNorm: try InputNorm(
                    loader, names.attentionNorm, count: shape.hiddenSize, epsilon: shape.epsilon,
                    shift: shape.normShift),
                attention: try Attention(loader[names.attention], shape),
                attentionEnd: try Self.outputNorm(loader, names.attentionOutputNorm, shape),
                mlpNorm: try InputNorm(
                    loader, names.mlpNorm, count: shape.hiddenSize, epsilon: shape.epsilon,
                    shift: shape.normShift),
                mlp: mlp, mlpEnd: try Self.outputNorm(loader, names.mlpOutputNorm, shape),
                window: sliding?.window)
        }
        norm = try InputNorm(
            loader, names.norm, count: shape.hiddenSize, epsilon: shape.epsilon, shift: shape.normShift)
        func table(_ rotary: RotaryShape) throws(ModelError) -> RotaryTable {
            try ModelError.wrapping { () throws(DeviceError) in
                try rotary.table(
                    positions: shape.maxPositions, headDim: shape.heads.headDim, device: loader.device)
            }
        }
        rotary = try table(shape.rotary)
        if let sliding = shape.sliding?.rotary {
            slidingRotary = try table(sliding)
        } else {
            slidingRotary = rotary
        }
        hiddenSize = shape.hiddenSize
        operators = loader.device.operators
    }

    private static func outputNorm(
        _ loader: Loader, _ name: String?, _ shape: TextShape,
    ) throws(ModelError) -> OutputNorm? {
        guard let name else { return nil }
        return try OutputNorm(
            loader, name, count: shape.hiddenSize, epsilon: shape.epsilon, shift: shape.normShift)
    }

    /// The heads whose keys and values this rank caches.
    var cacheHeads: HeadLayout { layers[0].attention.heads }

    /// The logits [R, vocabulary] of the tokens `batch.logitRows`, the same on all ranks.
    func forward(_ batch: Batch, workspace: Workspace) throws(DeviceError) -> Tensor {
        precondition(batch.cache.count == layers.count, "a cache for every layer")
        let count = batch.ids.elementCount
        // [R, vocabulary]
        let logits = try workspace.take([batch.logitRows.elementCount, vocabularyCount], .f32)
        let mark = workspace.mark
        let stream = try workspace.take([count, hiddenSize], .f32)  // [T, hidden]
        let normed = try workspace.take([count, hiddenSize], operators.operandType)  // [T, hidden]
        embedding(batch, into: stream)
        let layerMark = workspace.mark
        for (index, (layer, cache)) in zip(layers, batch.cache).enumerated() {
            try add(to: stream, layer.attentionEnd, workspace) { (sum) throws(DeviceError) in
                try layer.attention(
                    layer.attentionNorm(stream, scratch: normed), addingTo: sum,
                    rotary: layer.window == nil ? rotary : slidingRotary, window: layer.window,
                    batch: batch.attention, cache: cache, workspace: workspace)
            }
            workspace.rewind(to: layerMark)
            try add(to: stream, layer.mlpEnd, workspace) { (sum) throws(DeviceError) in
                try layer.mlp(
                    layer.mlpNorm(stream, scratch: normed), addingTo: sum, workspace: workspace)
            }
            workspace.rewind(to: layerMark)
            if index < batch.deepRows.count {
                let rows = batch.deepRows[index].reshaped([count, 1])
                operators.addRows(of: batch.images, rows: rows, weights: nil, to: stream)
            }
        }
        let last = try workspace.take([batch.logitRows.elementCount, hiddenSize], .f32)  // [R, hidden]
        operators.gatherRows(stream, rows: batch.logitRows, out: last)
        // [R, hidden]
        let lastNormed = try workspace.take(last.shape, operators.operandType)
        try head(norm(last, scratch: lastNormed), into: logits, workspace: workspace)
        workspace.rewind(to: mark)
        return logits
    }

    /// Has `body` add to `stream`, f32 [T, hidden], or, where there is a norm, to zeros whose norm is added to it.
    private func add(
        to stream: Tensor, _ norm: OutputNorm?, _ workspace: Workspace,
        _ body: (Tensor) throws(DeviceError) -> Void,
    ) throws(DeviceError) {
        guard let norm else { return try body(stream) }
        let sum = try workspace.take(stream.shape, .f32)  // [T, hidden]
        operators.clear(sum)
        try body(sum)
        norm(sum, addingTo: stream)
    }
}
