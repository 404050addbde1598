import Tensors

/// The operators of the processor; each family is an extension in a file of its own.
///
/// Shapes are checked here, once a call; the kernels trust them. What tensors hold (ids, slots, lengths) is checked
/// by the kernels before they touch memory, and a wrong value stops the program like a wrong shape.
struct CPUOperators: Operators {
    /// The threads and kernels.
    let pool: WorkerPool
    /// Whether full attention stays in f32.
    let exact: Bool
}
