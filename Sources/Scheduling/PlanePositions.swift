/// Where tokens stand for a rotary embedding of three axes: time, height and width.
///
/// Words advance on all axes alike. The tokens of a picture stand in its rows and columns, from the place of its first on,
/// and what follows stands behind the longer of its sides (M-RoPE, https://arxiv.org/abs/2409.12191, section 2.1).
package struct PlanePositions: Sendable, Hashable {
    /// Time, height and width.
    package typealias Place = SIMD3<Int32>

    private let spans: [ImageSpan]

    /// Nil where no picture of `prompt` has rows and columns, so that every token stands at its index.
    package init?(_ prompt: PreparedPrompt) {
        spans = prompt.images.filter { $0.columns != nil }
        if spans.isEmpty { return nil }
    }

    /// The places of the tokens at `indices`, also of those behind the prompt.
    package func places(of indices: Range<Int>) -> [Place] {
        var places: [Place] = []
        places.reserveCapacity(indices.count)
        var next = indices.lowerBound
        // How much less than their index tokens behind the spans so far stand at.
        var saved = 0
        /// Words up to `end`.
        func addWords(to end: Int) {
            while next < min(end, indices.upperBound) {
                places.append(Place(repeating: Int32(next - saved)))
                next += 1
            }
        }
        for span in spans {
            guard let columns = span.columns else { continue }
            addWords(to: span.start)
            let first = Int32(span.start - saved)
            while next < min(span.range.upperBound, indices.upperBound) {
                let token = next - span.start
                places.append(first &+ Place(0, Int32(token / columns), Int32(token % columns)))
                next += 1
            }
            saved += span.tokenCount - max(columns, span.tokenCount / columns)
        }
        addWords(to: .max)
        return places
    }
}
