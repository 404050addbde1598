/// A request in the scheduler: its tokens, and what it holds.
struct Request: Sendable {
    let id: RequestID
    let prompt: PreparedPrompt
    let sampling: SamplingParameters
    /// Decides its draws.
    let seed: UInt64
    /// The prompt and what was generated so far.
    private(set) var tokens: [Int32]
    /// What each token is, for finding what is stored already.
    private(set) var keys: [TokenKey]
    /// Where its tokens stand; nil where that is their index.
    let planePositions: PlanePositions?
    /// How many of the tokens have their keys and values stored, or will have by the steps that are planned.
    var storedCount = 0
    /// How many of these are sound: a token was chosen after them, or they were kept already.
    var vouchedCount = 0
    /// How many of the tokens were stored once: what follows those was reported on, if that was asked for.
    var scoredCount = 0
    /// Another answer to this one's prompt, which is computed there first; nil once it is.
    var leader: RequestID?
    /// Whether it is another answer to a prompt that is counted already.
    let isSibling: Bool
    /// The tokens that penalties count; empty when nothing does.
    private var counter = TokenCounter()
    /// The full pages it shares, from the first token on.
    var sharedPath: [PrefixCache.NodeIndex] = []
    /// All of its pages in order: the shared ones, then those it alone writes.
    var pages: [PageIndex] = []
    /// The pictures it has a reference to, distinct.
    var heldImages: Set<ImageKey> = []
    /// Whether its start was announced.
    var isStarted = false
    /// What was found in the caches when it was first admitted; nil before.
    var found: CacheFindings?
    /// How often a younger request was admitted before it.
    var bypassCount = 0

    init(
        id: RequestID, prompt: PreparedPrompt, sampling: SamplingParameters, seed: UInt64,
        isSibling: Bool = false,
    ) {
        self.id = id
        self.prompt = prompt
        self.sampling = sampling
        self.seed = seed
        tokens = prompt.tokenIDs
        keys = TokenKey.keys(of: prompt)
        planePositions = PlanePositions(prompt)
        self.isSibling = isSibling
        if sampling.penalties.needCounts, sampling.penalties.countsPrompt {
            for id in prompt.textTokens() { counter.add(id) }
        }
    }

    /// Adds a generated token.
    mutating func append(_ token: Int32) {
        tokens.append(token)
        keys.append(TokenKey(id: token))
        if sampling.penalties.needCounts { counter.add(token) }
    }

    /// How often each token occurred that penalties count.
    var tally: TokenTally { counter.tally }
    /// Whether the answer ends with one of the sequences that end it.
    var hasStopSequence: Bool {
        sampling.rules.stopSequences.contains { sequence in
            generatedCount >= sequence.count && tokens.suffix(sequence.count).elementsEqual(sequence)
        }
    }
    /// Whether something of its prompt is still to be reported on.
    var isUnscored: Bool { sampling.promptLogprobCount != nil && scoredCount < prompt.tokenIDs.count - 1 }

    /// How many pages it has.
    var pageCount: Int { pages.count }
    /// The pages it alone writes.
    var ownPages: ArraySlice<PageIndex> { pages.dropFirst(sharedPath.count) }
    /// How many tokens the answer has so far.
    var generatedCount: Int { tokens.count - prompt.tokenIDs.count }
    /// How many tokens that planned steps choose are not known yet: these follow all others.
    var pendingCount: Int { max(0, storedCount - tokens.count + 1) }
    /// How many tokens the answer has, those not known yet included.
    var answerCount: Int { generatedCount + pendingCount }
    /// Whether exactly its last token waits to be stored, and that one is generated.
    var isDecoding: Bool { answerCount > 0 && storedCount == tokens.count + pendingCount - 1 }
    /// Whether that token can be run now: it is known, or which one it is changes nothing about the step.
    var canDecode: Bool {
        isDecoding
            && (pendingCount == 0 || answerCount < sampling.maxNewTokens && !sampling.penalties.needCounts)
    }
}

/// What a request found in the caches.
package struct CacheFindings: Sendable, Hashable {
    /// Tokens of the prompt whose keys and values were there.
    package let tokenCount: Int
    /// Pictures whose embeddings were there, or not needed because their tokens were.
    package let imageCount: Int

    /// Takes both.
    package init(tokenCount: Int, imageCount: Int) {
        self.tokenCount = tokenCount
        self.imageCount = imageCount
    }
}
