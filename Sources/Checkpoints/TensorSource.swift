package import Tensors

/// Where weights come from: a checkpoint's files, or a generator of random ones.
package protocol TensorSource: Sendable {
    /// What to call it in errors: the folder.
    var name: String { get }
    /// The names it has; empty for a source that makes what is asked for.
    var tensorNames: [String] { get }
    /// How many bytes it has in all; zero when that is not known beforehand.
    var byteCount: Int { get }
    /// Whether it is known to have the tensor.
    func has(_ tensor: String) -> Bool
    /// The host tensor of that name, which must have `shape`.
    func tensor(_ tensor: String, shape: Shape) throws(CheckpointError) -> Tensor
}
