/// What is done to the logits l of a row before a token is chosen, in the order of the properties.
///
/// Minus infinity stays what it is; all other results are kept within ±10³⁰. Ids outside the vocabulary do nothing.
package struct LogitChanges: Sendable, Hashable {
    /// Tokens that were there before, distinct, and how often each: the penalties are theirs.
    package var counted = TokenCounts()
    /// l ← l / repetition where l > 0, else l · repetition (Keskar and others, 2019; transformers); above zero.
    package var repetition: Float = 1
    /// l ← l − frequency · count (OpenAI).
    package var frequency: Float = 0
    /// l ← l − presence (OpenAI).
    package var presence: Float = 0
    /// Tokens that are raised, distinct.
    package var raisedIDs: [Int32] = []
    /// l ← l + raise · |l|; finite, at least zero (transformers' exponential decay: factorⁿ − 1).
    package var raise: Float = 0
    /// Tokens with a bias of their own, distinct.
    package var biasedIDs: [Int32] = []
    /// l ← l + bias: as many as `biasedIDs`, finite.
    package var biases: [Float] = []
    /// l ← −∞ for all others; rising, nil allows all.
    package var allowedIDs: [Int32]?

    /// None.
    package init() {}
}

/// How often some tokens occur: two lists side by side.
package struct TokenCounts: Sendable, Hashable {
    /// Distinct ids.
    package private(set) var ids: [Int32]
    /// Each id's count, above zero.
    package private(set) var counts: [Int32]

    /// Takes lists of the same length.
    package init(ids: [Int32] = [], counts: [Int32] = []) {
        precondition(ids.count == counts.count, "a count for every id")
        self.ids = ids
        self.counts = counts
    }
}
