import Synchronization

/// Lets those who want the same URL at the same time wait for one fetch of it.
///
/// The fetch runs for as long as somebody waits: the last to leave cancels it.
final class SharedFetches: Sendable {
    private typealias Result = AsyncThrowingStream<[UInt8], any Error>

    private struct Flight {
        let number: UInt64
        var task: Task<Void, Never>?
        var waiting: [UInt64: Result.Continuation] = [:]
    }

    private struct State {
        var flights: [ImageURL: Flight] = [:]
        var nextNumber: UInt64 = 0
    }

    private let state = Mutex(State())

    /// What `fetch` gives, called by this or by another who came before.
    ///
    /// Throws what it throws, or `CancellationError` when the task is cancelled.
    func bytes(
        of url: ImageURL, _ fetch: @escaping @Sendable () async throws -> [UInt8],
    ) async throws -> [UInt8] {
        let (results, result) = Result.makeStream()
        let ticket = join(url, result, fetch)
        defer { leave(url, ticket) }
        for try await bytes in results { return bytes }
        throw CancellationError()
    }

    private func join(
        _ url: ImageURL, _ result: Result.Continuation,
        _ fetch: @escaping @Sendable () async throws -> [UInt8],
    ) -> UInt64 {
        state.withLock { state in
            state.nextNumber += 1
            let ticket = state.nextNumber
            if state.flights[url] == nil {
                var flight = Flight(number: ticket)
                // Nobody's child, because whoever came first may leave first; those who wait end it.
                flight.task = Task {
                    do {
                        let bytes = try await fetch()
                        finish(url, ticket) {
                            $0.yield(bytes)
                            $0.finish()
                        }
                    } catch {
                        finish(url, ticket) { $0.finish(throwing: error) }
                    }
                }
                state.flights[url] = flight
            }
            state.flights[url]?.waiting[ticket] = result
            return ticket
        }
    }

    /// Takes one who waits off a flight; the last one ends it.
    private func leave(_ url: ImageURL, _ ticket: UInt64) {
        let task = state.withLock { state -> Task<Void, Never>? in
            guard state.flights[url]?.waiting.removeValue(forKey: ticket) != nil,
                state.flights[url]?.waiting.isEmpty == true
            else { return nil }
            return state.flights.removeValue(forKey: url)?.task
        }
        task?.cancel()
    }

    /// Lands a flight, if it is still the one that is known.
    private func finish(_ url: ImageURL, _ number: UInt64, _ body: (Result.Continuation) -> Void) {
        let waiting = state.withLock { state -> [Result.Continuation] in
            guard state.flights[url]?.number == number else { return [] }
            return state.flights.removeValue(forKey: url).map { Array($0.waiting.values) } ?? []
        }
        waiting.forEach(body)
    }
}
