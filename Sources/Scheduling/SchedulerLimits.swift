/// The bounds a scheduler keeps.
package struct SchedulerLimits: Sendable, Hashable {
    /// Pages of keys and values.
    package var pageCount: Int
    /// Tokens a page holds.
    package var pageSize: Int
    /// The longest sequence, prompt and answer, that the model takes.
    package var modelLength: Int
    /// The most requests that run at once.
    package var runningRequests: Int
    /// The most tokens of a step.
    package var tokensPerStep: Int
    /// The most tokens of one prompt in a step.
    package var chunkSize: Int
    /// The most pictures stored.
    package var imageCapacity: Int
    /// Pages of embeddings.
    package var imagePageCount: Int
    /// Rows of embeddings in such a page: the image tokens of a tile, or some of a picture's.
    package var rowsPerImagePage: Int
    /// The most tiles of a step.
    package var tilesPerStep: Int
    /// Whether the tower takes a picture as a whole; a large one alone may then exceed the tiles of a step.
    package var encodesWholePictures = false
    /// Whether all image tokens of a picture must be in one step; steps and chunks then have room for the largest.
    package var keepsPicturesTogether = false
    /// The most pictures whose tiles are being made at once.
    package var preparations: Int
    /// How often a request may be passed by younger ones.
    package var mostBypasses = 64
    /// The most tokens of prompts that are reported on in a step: each takes a row of logits.
    package var scoresPerStep = 64
    /// Whether keys and values are kept for sequences that begin alike.
    package var keepsPrefixes = true

    /// Takes all bounds, each above zero (pictures may be zero for a model without a vision tower).
    package init(
        pageCount: Int, pageSize: Int, modelLength: Int, runningRequests: Int, tokensPerStep: Int,
        chunkSize: Int,
        imageCapacity: Int, imagePageCount: Int, rowsPerImagePage: Int, tilesPerStep: Int, preparations: Int,
    ) {
        precondition(
            min(pageCount, pageSize, modelLength, runningRequests, tokensPerStep, chunkSize) > 0
                && min(rowsPerImagePage, tilesPerStep, preparations) > 0, "bounds are above zero")
        self.pageCount = pageCount
        self.pageSize = pageSize
        self.modelLength = modelLength
        self.runningRequests = runningRequests
        self.tokensPerStep = tokensPerStep
        self.chunkSize = chunkSize
        self.imageCapacity = imageCapacity
        self.imagePageCount = imagePageCount
        self.rowsPerImagePage = rowsPerImagePage
        self.tilesPerStep = tilesPerStep
        self.preparations = preparations
    }

    /// The longest sequence that fits the model and, alone, the pages.
    package var sequenceLength: Int { min(modelLength, pageCount * pageSize) }

    /// Pages that `tokenCount` tokens take.
    package func pageCount(forTokens tokenCount: Int) -> Int { (tokenCount + pageSize - 1) / pageSize }
}

/// What a scheduler has counted since its start.
package struct SchedulerCounters: Sendable, Hashable {
    package var submitted = 0
    package var finished = 0
    package var cancelled = 0
    package var failed = 0
    package var preempted = 0
    package var promptTokens = 0
    package var cachedPromptTokens = 0
    package var generatedTokens = 0
    package var imageHits = 0
    package var imageMisses = 0
    package var imagesEncoded = 0
    /// Pictures whose embeddings came from elsewhere.
    package var imagesLoaded = 0
    package var tilesEncoded = 0
    package var steps = 0
}
