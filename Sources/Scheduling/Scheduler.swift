/// Decides which requests run, which tokens and tiles go into each step, and who holds which pages.
///
/// A value without threads, clocks or tensors: `submit`, `cancel` and `finishPreparing` tell it what happened, `plan`
/// says what to do next, `commit` what came of it. Requests are admitted in the order of arrival; one that does not fit
/// yet may be passed by younger ones, but only so often. What a prompt has in common with earlier sequences is not
/// computed again. When keys and values run out of pages, the youngest request gives its pages up and goes on later.
///
/// A step may be planned while the one before it is under way; the device runs them in order. Such a step can hold
/// tokens that only the device knows, and sequences of requests that have ended by its commit: those come to nothing.
package struct Scheduler: Sendable {
    /// The bounds of steps and stores.
    package let limits: SchedulerLimits
    /// What happened so far.
    package internal(set) var counters = SchedulerCounters()
    var waiting: [Request] = []
    var running: [Request] = []
    var pages: PrefixCache
    var cache: EmbeddingCache
    var discarded: [ImageKey] = []
    /// Whether something changed that could let a waiting request run.
    var mayAdmit = false
    /// Pictures whose tiles are being made.
    var preparingCount = 0
    /// The steps that are planned and not committed, the requests of each in the order of its sequences.
    private(set) var stepsInFlight: [[RequestID]] = []
    private let endIDs: Set<Int32>

    /// An idle scheduler; `endIDs` end an answer.
    package init(limits: SchedulerLimits, endIDs: Set<Int32>) {
        self.limits = limits
        self.endIDs = endIDs
        pages = PrefixCache(pageCount: limits.pageCount, pageSize: limits.pageSize)
        cache = EmbeddingCache(
            capacity: limits.imageCapacity, pageCount: limits.imagePageCount,
            rowsPerPage: limits.rowsPerImagePage)
    }

    /// How many requests wait.
    package var waitingCount: Int { waiting.count }
    /// How many requests run.
    package var runningCount: Int { running.count }
    /// Pages of keys and values that requests use; kept ones that nobody uses do not count.
    package var usedPageCount: Int { pages.usedCount }
    /// Tokens that the running requests have and may still get.
    package var promisedTokenCount: Int {
        // Safe: each is at most the length of a sequence.
        running.reduce(0) { $0 + $1.prompt.tokenIDs.count + $1.sampling.maxNewTokens }
    }
    /// The keys and values kept for sequences that begin alike.
    package var prefixes: PrefixCache { pages }
    /// The embeddings.
    package var images: EmbeddingCache { cache }
    /// Whether a step is planned and not committed.
    package var isStepInFlight: Bool { !stepsInFlight.isEmpty }
    /// Whether no request is there.
    package var isIdle: Bool { waiting.isEmpty && running.isEmpty }

    /// Queues a request that can fit alone.
    ///
    /// With a `leader`, a request of the same prompt that came before: it waits, holding nothing, until the leader has
    /// its first token and the pages of the prompt can be shared.
    package mutating func submit(
        _ id: RequestID, prompt: PreparedPrompt, sampling: SamplingParameters, seed: UInt64,
        after leader: RequestID? = nil,
    ) {
        var request = Request(
            id: id, prompt: prompt, sampling: sampling, seed: seed, isSibling: leader != nil)
        if let leader, limits.keepsPrefixes, prompt.usesPrefixCache, isComputingPrompt(leader) {
            request.leader = leader
        }
        if leader == nil { counters.promptTokens += prompt.tokenIDs.count }
        counters.submitted += 1
        mayAdmit = true
        insertWaiting(request)
    }

    /// Ends a request and frees what it holds; answers whether it was there.
    package mutating func cancel(_ id: RequestID) -> Bool {
        guard let request = remove(id) else { return false }
        counters.cancelled += 1
        end(request)
        return true
    }

    /// The next step; at most one earlier step may be under way.
    ///
    /// When it is empty there is nothing to run before that one is committed, or before something happens. Others must
    /// be run in order, and committed in order.
    package mutating func plan() -> StepPlan {
        precondition(stepsInFlight.count < 2, "at most one step is under way")
        admitWaiting()
        var plan = StepPlan()
        var budget = limits.tokensPerStep
        planDecoding(&plan, &budget)
        planPrefill(&plan, &budget)
        // Last, so that what this step encodes is used by later ones only: it might fail.
        planImages(&plan)
        plan.discarded = discarded
        discarded = []
        guard !plan.isEmpty else { return plan }
        counters.steps += 1
        stepsInFlight.append(plan.sequences.map(\.id))
        return plan
    }

    /// Takes the result of the earliest step under way: for each of its sequences the chosen token, nil where none could
    /// be chosen or none was asked for.
    ///
    /// Sequences of requests that do not run any more are passed over.
    package mutating func commit(_ plan: StepPlan, chosen: [Int32?]) -> [Delivery] {
        precondition(chosen.count == plan.sequences.count, "one result a sequence")
        guard !plan.isEmpty else { return [] }
        precondition(stepsInFlight.first == plan.sequences.map(\.id), "steps are committed in order")
        stepsInFlight.removeFirst()
        var deliveries: [Delivery] = []
        for (step, token) in zip(plan.sequences, chosen) {
            guard let index = running.firstIndex(where: { $0.id == step.id }) else { continue }
            let storedCount = step.start + step.tokens.count
            releaseConsumedImages(at: index, storedCount: storedCount)
            guard step.choice != nil else { continue }
            deliveries.append(deliver(token, at: index, storedCount: storedCount))
        }
        return deliveries
    }

    /// Adds the token that was chosen after `storedCount` others to its request, and ends the request when it is complete
    /// or failed.
    ///
    /// The step under way may still have a sequence of a request that ends. It writes behind what is vouched for, to pages
    /// that are free from now on; whoever gets them writes them in a later step, which the device runs after that one.
    private mutating func deliver(_ token: Int32?, at index: Int, storedCount: Int) -> Delivery {
        let request = running[index]
        guard let token else {
            counters.failed += 1
            end(running.remove(at: index))
            return Delivery(id: request.id, hasToken: false, finish: nil, isFailed: true)
        }
        running[index].vouchedCount = storedCount
        if isEnd(token, of: request) {
            finish(at: index)
            return Delivery(id: request.id, hasToken: false, finish: .stop, isFailed: false)
        }
        counters.generatedTokens += 1
        if request.generatedCount == 0 {
            share(at: index)
            letFollow(request.id)
        }
        running[index].append(token)
        if running[index].hasStopSequence, running[index].generatedCount >= request.sampling.minNewTokens {
            finish(at: index)
            return Delivery(id: request.id, hasToken: true, finish: .stop, isFailed: false)
        }
        guard running[index].generatedCount >= request.sampling.maxNewTokens else {
            return Delivery(id: request.id, hasToken: true, finish: nil, isFailed: false)
        }
        finish(at: index)
        return Delivery(id: request.id, hasToken: true, finish: .length, isFailed: false)
    }

    /// Whether a token ends an answer and is no part of it.
    private func isEnd(_ token: Int32, of request: Request) -> Bool {
        (!request.sampling.ignoresEnd && endIDs.contains(token))
            || request.sampling.rules.stopIDs.contains(token)
    }

    /// Ends a complete request; its keys and values stay for those that begin alike.
    private mutating func finish(at index: Int) {
        counters.finished += 1
        share(at: index)
        end(running.remove(at: index))
    }

    // MARK: Steps

    /// One token of each request that is past its prompt, the oldest first.
    private mutating func planDecoding(_ plan: inout StepPlan, _ budget: inout Int) {
        for id in running.filter(\.canDecode).map(\.id) where budget > 0 {
            guard let index = running.firstIndex(where: { $0.id == id }) else { continue }
            guard growPages(at: index) else { continue }
            guard let index = running.firstIndex(where: { $0.id == id }) else { continue }
            plan.sequences.append(advance(at: index, by: 1))
            budget -= 1
        }
    }

    /// As much of the prompts as the budget takes, the oldest first, each up to its first picture that is not ready.
    private mutating func planPrefill(_ plan: inout StepPlan, _ budget: inout Int) {
        var scores = limits.scoresPerStep
        for index in running.indices where !running[index].isDecoding && budget > 0 {
            let request = running[index]
            let end = prefillLimit(request)
            let most = min(end - request.storedCount, budget, limits.chunkSize)
            var count = request.isUnscored ? min(most, scores) : most
            if limits.keepsPicturesTogether, count > 0 { count = uncut(request, count, atMost: most) }
            guard count > 0 else { continue }
            let step = advance(at: index, by: count)
            plan.sequences.append(step)
            budget -= count
            scores -= step.scoring?.ids.count ?? 0
        }
    }

    /// How many of the next `count` tokens are run so that no picture is cut: those in front of it, or it as a whole if that
    /// is at most `most`.
    private func uncut(_ request: Request, _ count: Int, atMost most: Int) -> Int {
        let end = request.storedCount + count
        // Image tokens see those beside them, up to the next text.
        let cut = request.prompt.images.lazy.flatMap(\.runs).first {
            $0.lowerBound < end && end < $0.upperBound
        }
        guard let cut else { return count }
        guard cut.lowerBound <= request.storedCount else { return cut.lowerBound - request.storedCount }
        let rest = cut.upperBound - request.storedCount
        return rest <= most ? rest : 0
    }

    /// Where the computed part of a request must stop: before the first picture that is not ready.
    private func prefillLimit(_ request: Request) -> Int {
        for span in request.prompt.images where span.range.upperBound > request.storedCount {
            guard cache[span.key]?.state == .ready else { return max(span.start, request.storedCount) }
        }
        return request.tokens.count
    }

    /// Puts the next `count` tokens of a request into the step.
    private mutating func advance(at index: Int, by count: Int) -> SequenceStep {
        let request = running[index]
        let range = request.storedCount..<(request.storedCount + count)
        let isLast = range.upperBound == request.tokens.count + request.pendingCount
        running[index].storedCount = range.upperBound
        running[index].scoredCount = max(request.scoredCount, range.upperBound)
        return SequenceStep(
            id: request.id, tokens: tokens(request, range), start: range.lowerBound,
            places: request.planePositions?.places(of: range), imageRows: imageRows(request, range),
            pages: request.pages,
            choice: isLast
                ? TokenChoice(
                    sampling: request.sampling, seed: request.seed, index: request.answerCount,
                    forbidsEnd: request.answerCount < request.sampling.minNewTokens, tally: request.tally)
                : nil,
            scoring: scoring(request, range))
    }

    /// The tokens in `range`, or what stands for the one that the step under way chooses.
    private func tokens(_ request: Request, _ range: Range<Int>) -> [Int32] {
        guard request.pendingCount > 0, let place = stepsInFlight.last?.firstIndex(of: request.id) else {
            return Array(request.tokens[range])
        }
        return [-1 - Int32(place)]
    }

    /// For each token in `range` its row in the embedding store, or −1.
    private func imageRows(_ request: Request, _ range: Range<Int>) -> [Int32] {
        var rows = [Int32](repeating: -1, count: range.count)
        for span in request.prompt.images where span.range.overlaps(range) {
            guard let pages = cache[span.key]?.pages else { continue }
            for token in span.tokens(in: range) {
                rows[token.index - range.lowerBound] =
                    pages[token.place / limits.rowsPerImagePage] * Int32(limits.rowsPerImagePage)
                    + Int32(token.place % limits.rowsPerImagePage)
            }
        }
        return rows
    }

    /// Makes room for one more token of the request at `index`; the youngest requests give way, itself at last.
    private mutating func growPages(at index: Int) -> Bool {
        let id = running[index].id
        while true {
            guard let index = running.firstIndex(where: { $0.id == id }) else { return false }
            if running[index].pageCount * limits.pageSize > running[index].storedCount { return true }
            if let page = pages.take(1) {
                running[index].pages += page
                return true
            }
            guard let youngest = running.indices.max(by: { running[$0].id < running[$1].id }) else {
                return false
            }
            preempt(at: youngest)
        }
    }

    /// Takes pages and pictures from a running request and puts it back into the queue.
    ///
    /// What the step under way chooses for it comes to nothing: that step is committed before the request can run again,
    /// and the same token is then chosen anew.
    private mutating func preempt(at index: Int) {
        counters.preempted += 1
        share(at: index)
        var request = running.remove(at: index)
        release(request)
        request.sharedPath = []
        request.pages = []
        request.heldImages = []
        request.storedCount = 0
        request.vouchedCount = 0
        insertWaiting(request)
    }
}
