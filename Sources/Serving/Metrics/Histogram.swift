/// Counts of observations below fixed bounds.
struct Histogram: Sendable, Hashable {
    /// Upper bounds, rising.
    let bounds: [Double]
    /// How many observations are above the bound before and at most this one; the last counts those above
    /// all.
    private(set) var counts: [UInt64]
    private(set) var sum = 0.0

    init(bounds: [Double]) {
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count + 1)
    }

    /// For whole requests and waiting, in seconds.
    static let seconds = Histogram(
        bounds: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300])
    /// For single tokens, in seconds.
    static let tokenSeconds = Histogram(
        bounds: [0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2.5])

    /// How many observations there are.
    var count: UInt64 { counts.reduce(0, +) }

    /// Adds an observation.
    mutating func observe(_ value: Double) {
        counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
        sum += value
    }
}
