/// Counters and gauges of an engine at one moment.
package struct EngineStatistics: Sendable, Hashable {
    // MARK: Counters

    package var requestsSubmitted = 0
    package var requestsFinished = 0
    package var requestsCancelled = 0
    package var requestsFailed = 0
    package var requestsPreempted = 0
    package var promptTokens = 0
    /// Prompt tokens whose keys and values were found stored.
    package var cachedPromptTokens = 0
    package var generatedTokens = 0
    package var pageEvictions = 0
    package var imageCacheHits = 0
    package var imageCacheMisses = 0
    package var imageCacheEvictions = 0
    package var imagesEncoded = 0
    /// What came of sharing embeddings with replicas; nil where they share none.
    package var sharedImages: SharedImageStatistics?
    package var tilesEncoded = 0
    package var steps = 0

    // MARK: Gauges

    package var runningRequests = 0
    package var waitingRequests = 0
    package var usedPages = 0
    /// Tokens that the running requests have and may still get.
    package var promisedTokens = 0
    /// Pages kept for sequences that begin alike, in use or not.
    package var keptPages = 0
    package var totalPages = 0
    /// Tokens a page holds.
    package var pageSize = 0
    package var cachedImages = 0
    package var imageCacheCapacity = 0
    /// Cached pictures that a request still needs.
    package var referencedImages = 0
    package var imageCacheBytes = 0

    /// All zero.
    package init() {}
}
