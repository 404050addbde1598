/// How positions become angles: the base, and the scaling that stretches them to longer sequences.
package struct RotaryShape: Sendable, Hashable {
    /// The base of the frequencies (`rope_theta`).
    package var base: Double
    /// The stretching.
    package var scaling: Scaling

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
    }

    /// Without scaling by default.
    package init(base: Double = 10_000, scaling: Scaling = .none) {
        self.base = base
        self.scaling = scaling
    }
}
