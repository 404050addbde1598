/// Several answers to one prompt: the first computes it, the others begin with its pages.
extension Scheduler {
    /// Ends a request for good: what it holds is free, and who waits for its prompt waits no longer.
    mutating func end(_ request: Request) {
        release(request)
        letFollow(request.id)
    }

    /// Lets those run that wait for the prompt of `id`.
    mutating func letFollow(_ id: RequestID) {
        for index in waiting.indices where waiting[index].leader == id {
            waiting[index].leader = nil
            mayAdmit = true
        }
    }

    /// Whether a request is there and has no token yet.
    func isComputingPrompt(_ id: RequestID) -> Bool {
        let request = running.first { $0.id == id } ?? waiting.first { $0.id == id }
        return request?.generatedCount == 0
    }
}

/// Reports on prompts.
extension Scheduler {
    /// The tokens after those in `range` that are to be reported on: text of the prompt, each once.
    func scoring(_ request: Request, _ range: Range<Int>) -> PromptScoring? {
        guard request.isUnscored, let topCount = request.sampling.promptLogprobCount else { return nil }
        let prompt = request.prompt
        let unscored = range.clamped(
            to: request.scoredCount..<max(request.scoredCount, prompt.tokenIDs.count - 1))
        let places = unscored.map { $0 + 1 }.filter { place in
            !prompt.images.contains { $0.hasToken(at: place) }
        }
        guard !places.isEmpty else { return nil }
        return PromptScoring(places: places, ids: places.map { prompt.tokenIDs[$0] }, topCount: topCount)
    }
}
