extension EngineStatistics {
    /// What several replicas have done and hold together.
    package init(sumOf replicas: [EngineStatistics]) {
        self.init()
        for one in replicas { add(one) }
    }

    private mutating func add(_ other: EngineStatistics) {
        // Safe: none counts above what a machine can do in its life.
        requestsSubmitted += other.requestsSubmitted
        requestsFinished += other.requestsFinished
        requestsCancelled += other.requestsCancelled
        requestsFailed += other.requestsFailed
        requestsPreempted += other.requestsPreempted
        promptTokens += other.promptTokens
        cachedPromptTokens += other.cachedPromptTokens
        generatedTokens += other.generatedTokens
        pageEvictions += other.pageEvictions
        imageCacheHits += other.imageCacheHits
        imageCacheMisses += other.imageCacheMisses
        imageCacheEvictions += other.imageCacheEvictions
        imagesEncoded += other.imagesEncoded
        tilesEncoded += other.tilesEncoded
        steps += other.steps
        runningRequests += other.runningRequests
        waitingRequests += other.waitingRequests
        usedPages += other.usedPages
        promisedTokens += other.promisedTokens
        keptPages += other.keptPages
        totalPages += other.totalPages
        // All have pages of one size.
        pageSize = other.pageSize
        cachedImages += other.cachedImages
        imageCacheCapacity += other.imageCacheCapacity
        referencedImages += other.referencedImages
        imageCacheBytes += other.imageCacheBytes
        if let shared = other.sharedImages {
            sharedImages = (sharedImages ?? SharedImageStatistics()).adding(shared)
        }
    }
}

extension SharedImageStatistics {
    fileprivate func adding(_ other: SharedImageStatistics) -> SharedImageStatistics {
        var sum = self
        sum.hits += other.hits
        sum.misses += other.misses
        sum.unsound += other.unsound
        sum.puts += other.puts
        sum.droppedPuts += other.droppedPuts
        sum.health.errors += other.health.errors
        sum.health.isReadingPaused = health.isReadingPaused || other.health.isReadingPaused
        sum.health.isWritingPaused = health.isWritingPaused || other.health.isWritingPaused
        return sum
    }
}
