import Synchronization

/// Lets at most so many operations run at once; the others wait in order, cancellably.
final class Limiter: Sendable {
    private struct State {
        var free: Int
        var waiting: [(id: UInt64, resume: AsyncStream<Void>.Continuation)] = []
        var nextID: UInt64 = 0
    }

    private let state: Mutex<State>

    /// Lets `count` run.
    init(count: Int) { state = Mutex(State(free: max(1, count))) }

    /// Runs `operation` when it is its turn; throws `CancellationError` when cancelled before.
    func run<Value: Sendable>(_ operation: @Sendable () async throws -> Value) async throws -> Value {
        try await enter()
        defer { leave() }
        return try await operation()
    }

    private func enter() async throws {
        let (turn, resume) = AsyncStream.makeStream(of: Void.self)
        let ticket = state.withLock { state -> UInt64? in
            if state.free > 0 {
                state.free -= 1
                return nil
            }
            state.nextID += 1
            state.waiting.append((state.nextID, resume))
            return state.nextID
        }
        guard let ticket else { return }
        var turns = turn.makeAsyncIterator()
        if await turns.next() != nil, !Task.isCancelled { return }
        // Cancelled. Either the ticket still waits, or its turn has come just now and is to be passed on.
        let wasWaiting = state.withLock { state in
            guard let place = state.waiting.firstIndex(where: { $0.id == ticket }) else { return false }
            state.waiting.remove(at: place)
            return true
        }
        if !wasWaiting { leave() }
        throw CancellationError()
    }

    private func leave() {
        let next = state.withLock { state -> AsyncStream<Void>.Continuation? in
            guard !state.waiting.isEmpty else {
                state.free += 1
                return nil
            }
            return state.waiting.removeFirst().resume
        }
        next?.yield()
    }
}
