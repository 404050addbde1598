import CKernels
import Tensors

/// Teams of threads that share out an operator's work: one call at a time uses a team, others take the next or wait.
@safe final class WorkerPool: @unchecked Sendable {
    // Safe: the pool is made once, and its functions take its lock.
    let handle: OpaquePointer
    private let others: [OpaquePointer]

    /// `teamCount` teams of `threadCount` threads, the caller's own counted, with kernels of at most `level`.
    init(threadCount: Int, level: CPULevel, teamCount: Int = 1) {
        let count = Int32(clamping: max(1, threadCount))
        let made = unsafe (0..<max(1, teamCount)).compactMap { _ in
            unsafe vireo_pool_create(count, level.rawValue)
        }
        guard let first = unsafe made.first else {
            preconditionFailure("there is memory for the threads at start")
        }
        unsafe handle = unsafe first
        unsafe others = unsafe Array(made.dropFirst())
        unsafe others.forEach { unsafe vireo_pool_add(first, $0) }
    }

    // Safe: nobody else holds the handles once the last reference has gone.
    deinit {
        unsafe vireo_pool_destroy(handle)
        unsafe others.forEach { unsafe vireo_pool_destroy($0) }
    }
}
