package import Checkpoints
package import Tensors

/// Takes weights from a place in the tree of names to a device; layers are made with it.
package struct Loader: Sendable {
    /// Where the next names are looked up.
    package let weights: Weights
    /// Where the weights go.
    package let device: any Device
    /// What the weights of products become.
    package let elementType: ElementType
    /// How many layers load at a time.
    package let threads: Int

    /// A loader at the root of `weights`.
    package init(weights: Weights, device: any Device, elementType: ElementType, threads: Int) {
        self.weights = weights
        self.device = device
        self.elementType = elementType
        self.threads = threads
    }

    /// The same loader at another place.
    package func at(_ weights: Weights) -> Loader {
        Loader(weights: weights, device: device, elementType: elementType, threads: threads)
    }

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

    /// `tensor` of `shape`, on the device in f32: weights of norms, biases, scales.
    package func vector(_ tensor: String, shape: Shape) throws(ModelError) -> Tensor {
        try load(try take(tensor, shape: shape), as: .f32)
    }

    /// A host tensor on the device.
    package func load(_ tensor: Tensor, as elementType: ElementType) throws(ModelError) -> Tensor {
        try ModelError.wrapping { () throws(DeviceError) in try device.load(tensor, as: elementType) }
    }

    /// Layers 0 ..< `count` made by `body`, several at a time, each with the loader below its number.
    package func layers<Layer: Sendable>(
        _ count: Int, _ body: @escaping @Sendable (Loader) throws(ModelError) -> Layer,
    ) throws(ModelError) -> [Layer] {
        try inParallel(count: count, threads: threads) { (index: Int) throws(ModelError) -> Layer in
            try body(at(weights[index]))
        }
    }
}
