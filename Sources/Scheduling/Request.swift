/// A request in the scheduler: its tokens, and what it holds.
struct Request: Sendable {
    let id: RequestID
    let prompt: PreparedPrompt
    let sampling: SamplingParameters
    /// Decides its draws.
    let seed: UInt64
    /// The prompt and what was generated so far.
    var tokens: [Int32]
    /// How many of the tokens have their keys and values stored.
    var storedCount = 0
    /// Pages of keys and values, in order.
    var pages: [PageIndex] = []
    /// The pictures it has a reference to, distinct.
    var heldImages: Set<ImageKey> = []
    /// Whether its start was announced.
    var isStarted = false
    /// How many of its pictures were found in the cache when it was first admitted; nil before.
    var cachedImageCount: Int?
    /// How often a younger request was admitted before it.
    var bypassCount = 0

    init(id: RequestID, prompt: PreparedPrompt, sampling: SamplingParameters, seed: UInt64) {
        self.id = id
        self.prompt = prompt
        self.sampling = sampling
        self.seed = seed
        tokens = prompt.tokenIDs
    }

    /// How many tokens the answer has so far.
    var generatedCount: Int { tokens.count - prompt.tokenIDs.count }
    /// Whether exactly its last token waits to be stored, and that one was generated.
    var isDecoding: Bool { generatedCount > 0 && storedCount == tokens.count - 1 }
}
