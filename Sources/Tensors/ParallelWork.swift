import Glibc
import Synchronization

/// The results of `body` for 0 ..< `count`, in order, worked on by up to `threads` threads of which this is one.
///
/// After the first error no further index is begun, and that error is thrown.
package func inParallel<Value: Sendable, Failure: Error>(
    count: Int, threads: Int, _ body: @escaping @Sendable (Int) throws(Failure) -> Value,
) throws(Failure) -> [Value] {
    let work = Work(count: count, body: body)
    let helpers = (1..<max(1, min(threads, count))).compactMap { _ in HelperThread { work.run() } }
    work.run()
    for helper in helpers { helper.join() }
    return try work.results()
}

/// Indices to hand out and what came of them.
private final class Work<Value: Sendable, Failure: Error>: Sendable {
    private struct State {
        var next = 0
        var values: [Value?]
        var failure: Failure?
    }

    private let count: Int
    private let body: @Sendable (Int) throws(Failure) -> Value
    private let state: Mutex<State>

    init(count: Int, body: @escaping @Sendable (Int) throws(Failure) -> Value) {
        self.count = count
        self.body = body
        state = Mutex(State(values: Array(repeating: nil, count: count)))
    }

    /// Works until no index is left.
    func run() {
        while let index = take() {
            do throws(Failure) {
                let value = try body(index)
                state.withLock { $0.values[index] = value }
            } catch {
                state.withLock { $0.failure = $0.failure ?? error }
            }
        }
    }

    private func take() -> Int? {
        state.withLock { state in
            guard state.failure == nil, state.next < count else { return nil }
            state.next += 1
            return state.next - 1
        }
    }

    func results() throws(Failure) -> [Value] {
        let (values, failure) = state.withLock { ($0.values, $0.failure) }
        if let failure { throw failure }
        return values.compactMap(\.self)
    }
}

/// A thread that runs one closure.
package struct HelperThread: Sendable {
    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    private let thread: pthread_t

    /// Nil when the system gives no thread; the others then do the work.
    package init?(_ run: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        // Safe: the closure's box is retained for the thread, which releases it.
        let body = unsafe Unmanaged.passRetained(Body(run))
        let status = unsafe pthread_create(
            &thread, nil,
            { argument in
                if let argument = unsafe argument {
                    unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
                }
                return nil
            }, body.toOpaque())
        guard status == 0 else {
            unsafe body.release()
            return nil
        }
        self.thread = thread
    }

    /// Waits until the closure has returned.
    package func join() { pthread_join(thread, nil) }
}
