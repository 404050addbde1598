import Engine
import NIOPosix
import ServiceLifecycle
import Synchronization

/// Whether the server still takes requests.
final class ServerState: Sendable {
    private let draining = Atomic<Bool>(false)

    /// Whether it takes no more.
    var isDraining: Bool { draining.load(ordering: .relaxed) }

    /// From now on it takes no more.
    func beginDraining() { draining.store(true, ordering: .relaxed) }
}

/// Waits for the shutdown, then lets running requests finish while the server still listens and answers 503.
struct DrainService: Service {
    let state: ServerState
    let engine: Replicas
    /// Stopped at the end.
    let threads: NIOThreadPool
    let drainSeconds: Double

    func run() async throws {
        do {
            try await gracefulShutdown()
        } catch {
            // Cancelled: there is nobody left to wait for.
            state.beginDraining()
            try? await threads.shutdownGracefully()
            throw error
        }
        state.beginDraining()
        // Cancelled by a second signal, it drains no longer.
        await engine.shutDown(drainSeconds: drainSeconds)
        try? await threads.shutdownGracefully()
    }
}
