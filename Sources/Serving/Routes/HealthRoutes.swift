import Engine
import HTTPTypes
import JSON

/// Whether the server lives, progresses and takes requests.
struct HealthRoutes: Sendable {
    let engine: Replicas
    let state: ServerState
    let stallSeconds: Double

    /// The routes.
    var routes: [Route] {
        [
            .get(.health, health), .get(.healthz, health),
            Route(name: .liveness, methods: [.get, .head, .post]) { _ in Self.status("ok", 200) },
            Route(name: .readiness, methods: [.get, .head, .post]) { [state] _ in
                state.isDraining ? Self.status("not ready", 503) : Self.status("ok", 200)
            },
        ]
    }

    /// Proves progress, not life: 503 when a replica has work and none of it advances.
    @Sendable private func health(_ exchange: Exchange) -> Reply {
        let isStalled = engine.isStalled(forSeconds: stallSeconds)
        return Reply(
            status: isStalled ? 503 : 200,
            JSONWriter.bytes { $0.object { $0.member("message", isStalled ? "Error" : "Ok") } })
    }

    private static func status(_ word: String, _ code: Int) -> Reply {
        Reply(status: code, JSONWriter.bytes { $0.object { $0.member("status", word) } })
    }
}
