/// Chooses the next tokens of up to a number of rows of logits on a device.
///
/// `set`, `choose`, `send`, `result` belong together, in this order, and to one thread; the device works them off in the order
/// of all its work.
package protocol TokenSampler: AnyObject, Sendable {
    /// i32 [capacity]: the ids chosen last, −1 for rows without a finite logit.
    var tokens: Tensor { get }
    /// Takes the rules of the next choice, one a row.
    func set(_ rules: [SamplingRow])
    /// Enqueues the choice for `logits`, f32 [R, V]; rows beyond the rules that were set get −1.
    ///
    /// What it enqueues depends on the shape of `logits` alone as long as all rules are plain.
    func choose(_ logits: Tensor) throws(DeviceError)
    /// Enqueues the way of the choice made last to the host.
    func send()
    /// Waits for the choice sent last and tells it, one token a rule.
    func result() throws(DeviceError) -> [SampledToken]
}

/// How to choose the next token of one row.
///
/// First `changes` and `bannedIDs`; of what is left the likeliest when greedy, else: divide by the temperature, keep the
/// k likeliest, of these the likeliest until they have p of their probability, of these those at least as likely as
/// `minP` times the likeliest; then draw.
package struct SamplingRow: Sendable {
    /// Zero for greedy; otherwise what logits are divided by.
    package var temperature: Float
    /// Keep the k likeliest; zero or less keeps all.
    package var topK: Int
    /// Keep the likeliest until their probabilities sum to p; 1 keeps all.
    package var topP: Float
    /// Keep what is at least as likely as this part of the likeliest; zero keeps all.
    package var minP: Float
    /// A uniform number in [0, 1) that decides; the caller derives it from the request's seed and the token's index.
    package var uniform: Double
    /// What is done to the logits.
    package var changes: LogitChanges
    /// Ids that may not be chosen.
    package var bannedIDs: [Int32]
    /// Ids at or beyond it are never chosen: a padded vocabulary has more logits than tokens.
    package var vocabularyCount: Int
    /// How many of the likeliest tokens to report, with natural logarithms of their probabilities.
    package var topLogprobCount: Int
    /// A token that is the result whatever the rest says, for its log-probability and rank; below the row's width.
    package var givenID: Int32?

    /// Whether it changes no logits.
    package var isPlain: Bool { changes == LogitChanges() && bannedIDs.isEmpty }

    /// Greedy by default.
    package init(
        temperature: Float = 0, topK: Int = 0, topP: Float = 1, minP: Float = 0, uniform: Double = 0,
        changes: LogitChanges = LogitChanges(), bannedIDs: [Int32] = [], vocabularyCount: Int,
        topLogprobCount: Int = 0, givenID: Int32? = nil,
    ) {
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.minP = minP
        self.uniform = uniform
        self.changes = changes
        self.bannedIDs = bannedIDs
        self.vocabularyCount = vocabularyCount
        self.topLogprobCount = topLogprobCount
        self.givenID = givenID
    }
}

/// A chosen token.
///
/// Log-probabilities are of the untouched softmax (no temperature, no changes, no bans), natural logarithm.
package struct SampledToken: Sendable, Hashable {
    /// A token and its log-probability.
    package struct Candidate: Sendable, Hashable {
        package let id: Int32
        package let logprob: Float

        /// Takes both.
        package init(id: Int32, logprob: Float) {
            self.id = id
            self.logprob = logprob
        }
    }

    /// The choice; −1 when the row has no finite logit (a NaN row fails its request, nothing else).
    package let id: Int32
    /// Its log-probability.
    package let logprob: Float
    /// Its rank by probability, 1 for the likeliest.
    package let rank: Int32
    /// The likeliest, best first.
    package let top: [Candidate]

    /// Takes all four.
    package init(id: Int32, logprob: Float, rank: Int32, top: [Candidate]) {
        self.id = id
        self.logprob = logprob
        self.rank = rank
        self.top = top
    }
}
