/// Decides whether a server that fails is asked at all.
///
/// After several failures in a row nothing is asked for a while, then one question tries; when that fails too, the next
/// while is twice as long. A value; time comes from outside.
struct CircuitBreaker {
    typealias Instant = ContinuousClock.Instant

    /// Failures in a row that are borne.
    static let mostFailures = 3
    /// How long nothing is asked at first, and at most.
    static let firstPause = Duration.seconds(2)
    static let longestPause = Duration.seconds(30)

    private var failureCount = 0
    private var lastFailure: Instant?
    private var pause = Self.firstPause
    private var pausedUntil: Instant?
    private var isTrying = false

    /// Whether nothing is asked for now, but perhaps to try.
    var isPaused: Bool { pausedUntil != nil }

    /// Whether a question may be asked; what comes of it is to be told by `succeed` or `fail`.
    mutating func mayAsk(at now: Instant) -> Bool {
        guard let pausedUntil else { return true }
        guard now >= pausedUntil, !isTrying else { return false }
        isTrying = true
        return true
    }

    /// A question was answered.
    mutating func succeed() { self = CircuitBreaker() }

    /// A question asked at `start` was not answered, or refused.
    mutating func fail(askedAt start: Instant, at now: Instant) {
        // Questions that were on the way at a failure end with it and say nothing new.
        if let lastFailure, start < lastFailure { return }
        lastFailure = now
        if isTrying {
            pause = min(pause * 2, Self.longestPause)
        } else {
            failureCount += 1
            guard failureCount >= Self.mostFailures else { return }
        }
        isTrying = false
        pausedUntil = now + pause
    }
}
