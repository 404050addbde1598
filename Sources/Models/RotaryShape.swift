/// How positions become angles: the base, and the scaling that stretches them to longer sequences.
package struct RotaryShape: Sendable, Hashable {
    /// The base of the frequencies (`rope_theta`).
    package var base: Double
    /// The part of a head's values that turns, the first ones; 1 for all (`partial_rotary_factor`).
    package var fraction: Double
    /// The stretching.
    package var scaling: Scaling
    /// How many pairs turn by a token's time, height and width, in this order; nil where a token has one position.
    package var sections: [Int]?
    /// Whether the axes take turns over the pairs, as long as each has any left, rather than follow one another.
    package var isInterleaved = false

    /// A way to stretch.
    package enum Scaling: Sendable, Hashable {
        /// None.
        case none
        /// Positions divided by `factor`.
        case linear(factor: Double)
        /// A base that grows with the sequence beyond `trained` positions (dynamic NTK).
        ///
        /// With `length`, all positions are turned as in a sequence of that length; without, each position as if the
        /// sequence ended there, so that an angle depends on the position alone: chunks, cached prefixes and batches
        /// cannot change it.
        case dynamic(factor: Double, trained: Int, length: Int?)
        /// Llama 3's: low frequencies divided by `factor`, high ones kept, those between blended.
        case llama3(factor: Double, low: Double, high: Double, trained: Int)
        /// YaRN's: the same idea with a linear ramp, and queries and keys scaled by `attention`.
        case yarn(
            factor: Double, trained: Int, fast: Double, slow: Double, truncates: Bool, attention: Double)
        /// LongRoPE's: each pair's frequency divided by a factor of its own, and queries and keys scaled by
        /// `attention`; the factors are `short` in sequences of up to `trained` positions, `long` in longer ones.
        ///
        /// `length` is as for `dynamic`. So without it positions below `trained` turn by `short` and those from
        /// there on by `long`, in every sequence: a sequence that ends up longer keeps what is cached of it.
        case longRope(short: [Float], long: [Float], trained: Int, attention: Double, length: Int?)
    }

    /// Without scaling by default.
    package init(base: Double = 10_000, fraction: Double = 1, scaling: Scaling = .none) {
        self.base = base
        self.fraction = fraction
        self.scaling = scaling
    }

    /// Which position turns each pair; nil where a token has one.
    var axes: [Int32]? {
        guard let sections else { return nil }
        guard isInterleaved else {
            return sections.enumerated().flatMap { repeatElement(Int32($0.offset), count: $0.element) }
        }
        return (0..<sections.reduce(0, +)).map { pair in
            let axis = pair % sections.count
            // What height and width leave over is time's.
            return pair / sections.count < sections[axis] ? Int32(axis) : 0
        }
    }

    /// Positions a token has.
    package var axisCount: Int { sections?.count ?? 1 }

    /// How many pairs of values turn in a head of `headDim`.
    package func pairCount(headDim: Int) -> Int { Int(Double(headDim) * fraction) / 2 }
}
