import Logging
import Synchronization

/// Follows one request to its end, which it counts and logs exactly once; never a word of what was asked or
/// answered.
final class RequestRecord: Sendable {
    private struct State {
        var isFinished = false
        var firstToken: ContinuousClock.Instant?
        var tokenCount = 0
        var promptTokenCount = 0
    }

    /// For the log and the reply: the client's, if it is harmless, or ours.
    let id: String
    let route: RouteName
    private let metrics: ServingMetrics
    private let logger: Logger
    private let start = ContinuousClock.now
    private let state = Mutex(State())

    init(id: String, route: RouteName, metrics: ServingMetrics, logger: Logger) {
        self.id = id
        self.route = route
        self.metrics = metrics
        self.logger = logger
        metrics.begin()
    }

    /// A request nobody finished is one whose client was gone before the answer could begin.
    deinit { finish(status: ServingError.clientClosed.status) }

    /// The engine has begun to run it, or one more of its prompts.
    func begin(promptTokenCount: Int) { state.withLock { $0.promptTokenCount += promptTokenCount } }

    /// A token of the answer has come.
    func countToken() {
        let first = state.withLock { state in
            state.tokenCount += 1
            guard state.firstToken == nil else { return nil as ContinuousClock.Instant? }
            state.firstToken = .now
            return state.firstToken
        }
        if let first { metrics.observeFirstToken(seconds: (first - start).seconds) }
    }

    /// It has ended; what comes later than the first call counts for nothing.
    func finish(status: Int) {
        let state = state.withLock { state -> State? in
            guard !state.isFinished else { return nil }
            state.isFinished = true
            return state
        }
        guard let state else { return }
        let now = ContinuousClock.now
        let seconds = (now - start).seconds
        metrics.end(route, status: status, seconds: seconds)
        if let first = state.firstToken, state.tokenCount > 1 {
            metrics.observeOutputTokens(secondsEach: (now - first).seconds / Double(state.tokenCount - 1))
        }
        logger.log(
            level: level(status: status), "request",
            metadata: [
                "request_id": "\(id)", "route": "\(route.rawValue)", "status": "\(status)",
                "ms": "\(Int(min(seconds, 1e9) * 1_000))", "prompt_tokens": "\(state.promptTokenCount)",
                "tokens": "\(state.tokenCount)",
            ])
    }

    private func level(status: Int) -> Logger.Level {
        switch route {
        case .health, .healthz, .liveness, .readiness, .metrics: .debug
        default: status == 500 ? .error : .info
        }
    }
}

extension Duration {
    /// The duration in seconds.
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
