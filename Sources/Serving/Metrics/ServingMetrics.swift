import Synchronization

/// What the HTTP side counts.
///
/// Labels come from fixed sets, so that no client can make the list longer.
final class ServingMetrics: Sendable {
    /// One moment's values.
    struct Snapshot: Sendable {
        /// How many requests ended, by route and status.
        var requests: [RouteName: [Int: UInt64]] = [:]
        var requestSeconds: [RouteName: Histogram] = [:]
        var firstTokenSeconds = Histogram.seconds
        var outputTokenSeconds = Histogram.tokenSeconds
        var requestsInFlight = 0
    }

    private let state = Mutex(Snapshot())

    /// The values now.
    var snapshot: Snapshot { state.withLock { $0 } }

    /// A request has come.
    func begin() { state.withLock { $0.requestsInFlight += 1 } }

    /// A request has ended.
    func end(_ route: RouteName, status: Int, seconds: Double) {
        state.withLock { state in
            state.requestsInFlight -= 1
            state.requests[route, default: [:]][status, default: 0] += 1
            state.requestSeconds[route, default: .seconds].observe(seconds)
        }
    }

    /// The first token of an answer has come.
    func observeFirstToken(seconds: Double) { state.withLock { $0.firstTokenSeconds.observe(seconds) } }

    /// An answer's tokens after the first took as long on average.
    func observeOutputTokens(secondsEach seconds: Double) {
        state.withLock { $0.outputTokenSeconds.observe(seconds) }
    }
}

/// The routes by their templates, for labels.
enum RouteName: String, Sendable, Hashable, CaseIterable {
    case generate = "/generate"
    case generateStream = "/generate_stream"
    case root = "/"
    case chatCompletions = "/v1/chat/completions"
    case completions = "/v1/completions"
    case models = "/v1/models"
    case tokens = "/tokens"
    case modelName = "/get_model_name"
    case serverInfo = "/get_server_info"
    case tokenLoad = "/token_load"
    case health = "/health"
    case healthz = "/healthz"
    case liveness = "/liveness"
    case readiness = "/readiness"
    case metrics = "/metrics"
    /// Every path without a route.
    case unknown = "unknown"
}
