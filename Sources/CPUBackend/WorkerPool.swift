import CKernels
import Tensors

/// The threads that share out an operator's work: one call at a time uses them, others wait.
@safe final class WorkerPool: @unchecked Sendable {
    // Safe: the pool is made once, and its functions take its lock.
    let handle: OpaquePointer

    /// `threadCount` threads, the caller's own counted, with kernels of at most `level`.
    init(threadCount: Int, level: CPULevel) {
        let count = Int32(clamping: max(1, threadCount))
        guard let handle = unsafe vireo_pool_create(count, level.rawValue) else {
            preconditionFailure("there is memory for the threads at start")
        }
        unsafe self.handle = unsafe handle
    }

    // Safe: nobody else holds the handle once the last reference has gone.
    deinit { unsafe vireo_pool_destroy(handle) }
}
