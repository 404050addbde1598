/// What makes tokens that were there before less likely, and an end likelier as an answer grows.
package struct SamplingPenalties: Hashable, Sendable {
    /// Divides the logits above zero of tokens that were there, and multiplies the others; 1 for none.
    package var repetition = 1.0
    /// Taken from the logits of tokens that were there.
    package var presence = 0.0
    /// Taken from the logits of tokens as often as they were there.
    package var frequency = 0.0
    /// Whether the prompt's text tokens were there too; image tokens never were.
    package var countsPrompt = false
    /// How end tokens become likelier; nil for not at all.
    package var lengthDecay: LengthDecay?

    /// None.
    package init() {}

    /// Whether it matters which tokens were there.
    package var needCounts: Bool { repetition != 1 || presence != 0 || frequency != 0 }

    /// Throws for the first value out of range.
    package func check() throws(SamplingError) {
        // The comparisons are written so that NaN fails them.
        guard repetition >= 0.01, repetition <= 100 else {
            throw .init("repetition_penalty", "must be from 0.01 to 100")
        }
        guard presence >= -2, presence <= 100 else {
            throw .init("presence_penalty", "must be from -2 to 100")
        }
        guard frequency >= -2, frequency <= 100 else {
            throw .init("frequency_penalty", "must be from -2 to 100")
        }
        guard let lengthDecay else { return }
        guard lengthDecay.start >= 0, lengthDecay.factor >= 1, lengthDecay.factor <= 1e6 else {
            throw .init("exponential_decay_length_penalty", "must be [integer ≥ 0, number from 1 to 1000000]")
        }
    }
}

/// After `start` tokens of an answer, token n more: an end token's logit l becomes l + |l| · (factorⁿ − 1).
package struct LengthDecay: Hashable, Sendable {
    package let start: Int
    package let factor: Double

    /// Takes both as they are.
    package init(start: Int, factor: Double) {
        self.start = start
        self.factor = factor
    }
}
