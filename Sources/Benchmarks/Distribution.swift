/// Mean, median and percentiles of a list of numbers.
package struct Distribution: Sendable, Hashable {
    private let sorted: [Double]

    /// Takes the numbers in any order.
    package init(_ values: [Double]) { sorted = values.sorted() }

    /// Zero for no numbers.
    package var mean: Double { sorted.isEmpty ? 0 : sorted.reduce(0, +) / Double(sorted.count) }
    /// The middle one.
    package var median: Double { percentile(50) }

    /// The number below which `percent` of them lie, between neighbours in proportion; zero for no numbers.
    package func percentile(_ percent: Double) -> Double {
        guard let last = sorted.indices.last else { return 0 }
        let place = percent / 100 * Double(last)
        let lower = Int(place)
        let upper = min(lower + 1, last)
        return sorted[lower] + (sorted[upper] - sorted[lower]) * (place - Double(lower))
    }
}
