import Glibc

/// Starts threads that belong to one job for their whole life.
enum DedicatedThread {
    /// What a new thread finds.
    private final class Start: Sendable {
        let body: @Sendable () -> Void

        init(body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Runs `body` on a new thread; answers false when the system gives none.
    static func start(_ body: @escaping @Sendable () -> Void) -> Bool {
        var attributes = pthread_attr_t()
        unsafe pthread_attr_init(&attributes)
        defer { unsafe pthread_attr_destroy(&attributes) }
        unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        unsafe pthread_attr_setstacksize(&attributes, 8 << 20)
        var thread = pthread_t()
        let start = unsafe Unmanaged.passRetained(Start(body: body))
        let status = unsafe pthread_create(
            &thread, &attributes,
            { argument in
                // Safe: the argument is the object retained above, taken over here exactly once.
                guard let argument = unsafe argument else { return nil }
                let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                start.body()
                return nil
            }, unsafe start.toOpaque())
        if status != 0 { unsafe start.release() }
        return status == 0
    }
}
