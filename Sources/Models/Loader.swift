package import Checkpoints
package import Tensors

/// Takes weights from a place in the tree of names to a device; layers are made with it.
package struct Loader: Sendable {
    /// Where the next names are looked up.
    package let weights: Weights
    /// Where the weights go.
    package let device: any Device
    /// What tables, and the weights of products outside the text tower, become.
    package let elementType: ElementType
    /// What the weights of products become.
    private(set) var format: WeightFormat
    /// How many layers load at a time.
    package let threads: Int
    /// The ranks that the layers are divided over; nil where there is one.
    package private(set) var collective: (any Collective)?
    private let towers: TowerCollectives
    private let textFormat: WeightFormat

    /// A loader at the root of `weights`, for layers that are not divided.
    ///
    /// With `textFormat` the weights of the text tower's products become that instead of `elementType`.
    package init(
        weights: Weights, device: any Device, elementType: ElementType, textFormat: WeightFormat? = nil,
        threads: Int, towers: TowerCollectives = TowerCollectives(),
    ) {
        self.weights = weights
        self.device = device
        self.elementType = elementType
        format = .plain(elementType)
        self.textFormat = textFormat ?? format
        self.threads = threads
        self.towers = towers
    }

    /// The same loader at another place.
    package func at(_ weights: Weights) -> Loader {
        var loader = Loader(
            weights: weights, device: device, elementType: elementType, textFormat: textFormat,
            threads: threads, towers: towers)
        loader.collective = collective
        loader.format = format
        return loader
    }

    /// The same loader for the layers of the text tower.
    package var forText: Loader {
        var loader = dividing(over: towers.text)
        loader.format = textFormat
        return loader
    }
    /// The same loader for the layers of the vision tower.
    package var forVision: Loader { dividing(over: towers.vision) }

    /// The same loader for weights that stay as they are.
    var plain: Loader {
        var loader = self
        loader.format = .plain(elementType)
        return loader
    }

    /// The same loader for the head, whose small errors are those of the logits: it has no less than 8 bits.
    var forHead: Loader {
        var loader = self
        if format == .int4 { loader.format = .int8 }
        return loader
    }

    private func dividing(over collective: (any Collective)?) -> Loader {
        var loader = self
        loader.collective = collective
        return loader
    }

    /// This rank's part of `count` things.
    func part(of count: Int) -> Range<Int> { collective?.part(of: count) ?? 0..<count }
    /// This rank's part of `count` things where all ranks have as many, a multiple of `step`: what the last ones lack is
    /// filled up.
    func filledPart(of count: Int, step: Int = 1) -> FilledPart {
        let ranks = collective?.rankCount ?? 1, rank = collective?.rank ?? 0
        let width = ((count + ranks - 1) / ranks + step - 1) / step * step
        return FilledPart(range: min(rank * width, count)..<min((rank + 1) * width, count), width: width)
    }
    /// The parts of `count` things of all ranks, each a multiple of eight but the last.
    func parts(of count: Int) -> [Range<Int>] {
        let ranks = collective?.rankCount ?? 1
        let ends = (0...ranks).map { $0 == ranks ? count : count / 8 * $0 / ranks * 8 }
        return (0..<ranks).map { ends[$0]..<ends[$0 + 1] }
    }
    /// Whether this rank adds what is to be added once.
    var isFirst: Bool { collective.map { $0.rank == 0 } ?? true }

    /// The loader below `name`.
    package subscript(name: String) -> Loader { at(weights[name]) }

    /// The loader below the first of `names` known to have `tensor`.
    package func first(of names: [String], with tensor: String) -> Loader {
        at(weights.first(of: names, with: tensor))
    }

    /// The host tensor `tensor` of `shape`.
    package func take(_ tensor: String, shape: Shape) throws(ModelError) -> Tensor {
        try ModelError.wrapping { () throws(CheckpointError) in try weights.take(tensor, shape: shape) }
    }

    /// A host tensor of zeros in the type of `tensor`.
    func zeros(_ shape: Shape, as tensor: Tensor) throws(ModelError) -> Tensor {
        try ModelError.wrapping { () throws(CheckpointError) in try .zeros(shape, tensor.elementType) }
    }

    /// `tensor` of `shape`, on the device in f32: weights of norms, biases, scales; with `number` added to each.
    package func vector(
        _ tensor: String, shape: Shape, adding number: Float = 0,
    ) throws(ModelError) -> Tensor {
        let stored = try take(tensor, shape: shape)
        guard number != 0 else { return try load(stored, as: .f32) }
        return try load(
            ModelError.wrapping { () throws(CheckpointError) in try stored.adding(number) }, as: .f32)
    }

    /// A host tensor on the device.
    package func load(_ tensor: Tensor, as elementType: ElementType) throws(ModelError) -> Tensor {
        try ModelError.wrapping { () throws(DeviceError) in try device.load(tensor, as: elementType) }
    }

    /// Layers 0 ..< `count` made by `body`, several at a time, each with the loader below its number.
    package func layers<Layer: Sendable>(
        _ count: Int, _ body: @escaping @Sendable (Loader) throws(ModelError) -> Layer,
    ) throws(ModelError) -> [Layer] {
        try numberedLayers(count) { (loader, _) throws(ModelError) in try body(loader) }
    }

    /// The same with the number.
    package func numberedLayers<Layer: Sendable>(
        _ count: Int, _ body: @escaping @Sendable (Loader, Int) throws(ModelError) -> Layer,
    ) throws(ModelError) -> [Layer] {
        try inParallel(count: count, threads: threads) { (index: Int) throws(ModelError) -> Layer in
            try body(at(weights[index]), index)
        }
    }
}

/// A rank's part of some things, filled up with zeros, which change nothing.
struct FilledPart {
    /// Its own, of all.
    let range: Range<Int>
    /// How many it has with those that fill up.
    let width: Int
    /// Those that fill up.
    var missing: Int { width - range.count }
}

/// The ranks that each tower is divided over; nil where every rank has all of it.
package struct TowerCollectives: Sendable {
    package var text: (any Collective)?
    package var vision: (any Collective)?

    /// Undivided by default.
    package init(text: (any Collective)? = nil, vision: (any Collective)? = nil) {
        self.text = text
        self.vision = vision
    }
}
