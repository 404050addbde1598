import Testing

@testable import Scheduling

/// Steps that are planned while the one before is under way.
struct SchedulerAheadTests {
    private static let limits = SchedulerLimits(
        pageCount: 16, pageSize: 4, modelLength: 64, runningRequests: 4, tokensPerStep: 16, chunkSize: 8,
        imageCapacity: 2, imagePageCount: 4, rowsPerImagePage: 2, tilesPerStep: 1, preparations: 2)

    private func scheduler(_ limits: SchedulerLimits = Self.limits) -> Scheduler {
        Scheduler(limits: limits, endIDs: [0])
    }

    private func ask(
        _ scheduler: inout Scheduler, _ id: UInt64, tokens: Int, images: [ImageSpan] = [],
        after leader: UInt64? = nil, _ sampling: SamplingParameters,
    ) {
        scheduler.submit(
            RequestID(id),
            prompt: PreparedPrompt(tokenIDs: (0..<tokens).map { Int32($0 + 5) }, images: images),
            sampling: sampling, seed: id, after: leader.map(RequestID.init))
    }

    /// The requests of a step: id, place of the first token, count, and the token itself where it is not known.
    private func shape(_ plan: StepPlan) -> [String] {
        plan.sequences.map { sequence in
            let unknown = sequence.tokens.filter { $0 < 0 }.map { " (\($0))" }.joined()
            return "\(sequence.id.value): \(sequence.start)+\(sequence.tokens.count)\(unknown)"
        }
    }

    @Test func `a token that is not known yet is named by the sequence that chooses it`() throws {
        var scheduler = scheduler()
        let sampling = try SamplingParameters(maxNewTokens: 9, minNewTokens: 2)
        ask(&scheduler, 1, tokens: 12, sampling)
        ask(&scheduler, 2, tokens: 3, sampling)
        let first = scheduler.plan()
        #expect(shape(first) == ["1: 0+8", "2: 0+3"] && scheduler.isStepInFlight)
        let second = scheduler.plan()
        #expect(shape(second) == ["2: 3+1 (-2)", "1: 8+4"])
        #expect(second.sequences.map { $0.choice?.index } == [1, 0])
        #expect(scheduler.commit(first, chosen: [nil, 20]).map(\.id.value) == [2])
        let third = scheduler.plan()
        #expect(shape(third) == ["1: 12+1 (-2)", "2: 4+1 (-1)"])
        #expect(third.sequences.map { $0.choice?.forbidsEnd } == [true, false])
        _ = scheduler.commit(second, chosen: [21, 22])
        _ = scheduler.commit(third, chosen: [23, 24])
        #expect(scheduler.running.map { Array($0.tokens.suffix(3)) } == [[16, 22, 23], [20, 21, 24]])
        #expect(shape(scheduler.plan()) == ["1: 13+1", "2: 5+1"] && scheduler.violations() == [])
    }

    @Test func `a request waits for its token when that is the last, or when penalties count it`() throws {
        var penalties = SamplingPenalties()
        penalties.presence = 1
        for sampling in [
            try SamplingParameters(maxNewTokens: 1),
            try SamplingParameters(maxNewTokens: 9, penalties: penalties),
        ] {
            var scheduler = scheduler()
            ask(&scheduler, 1, tokens: 3, sampling)
            let plan = scheduler.plan()
            #expect(scheduler.plan().isEmpty && scheduler.counters.steps == 1)
            _ = scheduler.commit(plan, chosen: [7])
            #expect(scheduler.plan().isEmpty == (sampling.maxNewTokens == 1))
        }
    }

    @Test(arguments: [0, 7, nil] as [Int32?])
    func `what was planned for a request that ends comes to nothing, and is not kept`(token: Int32?) throws {
        var scheduler = scheduler()
        let rules = try TokenRules(stopSequences: [[7]])
        ask(&scheduler, 1, tokens: 7, try SamplingParameters(maxNewTokens: 9, rules: rules))
        let first = scheduler.plan(), second = scheduler.plan()
        // With the second step the second page is full, but nobody has vouched for that.
        #expect(shape(second) == ["1: 7+1 (-1)"])
        #expect(scheduler.commit(first, chosen: [token]).count == 1 && scheduler.isIdle)
        #expect(scheduler.prefixes.keptCount == (token == nil ? 0 : 1) && scheduler.usedPageCount == 0)
        let counters = scheduler.counters
        #expect(scheduler.commit(second, chosen: [9]).isEmpty && scheduler.counters == counters)
        #expect(!scheduler.isStepInFlight && scheduler.violations() == [])
    }

    @Test func `a request can be cancelled while two of its steps are under way`() throws {
        var scheduler = scheduler()
        ask(&scheduler, 1, tokens: 3, try SamplingParameters(maxNewTokens: 9))
        let first = scheduler.plan(), second = scheduler.plan()
        #expect(scheduler.cancel(RequestID(1)) && scheduler.usedPageCount == 0)
        let deliveries = scheduler.commit(first, chosen: [7]) + scheduler.commit(second, chosen: [7])
        #expect(deliveries.isEmpty && scheduler.prefixes.keptCount == 0)
        #expect(scheduler.counters.generatedTokens == 0 && scheduler.violations() == [])
    }

    @Test func `a picture is encoded and used in steps one after another, and held until that is certain`()
        throws
    {
        var scheduler = scheduler()
        let picture = ImageSpan(
            key: ImageKey(digest: Array(repeating: 1, count: 32)), start: 16, tokenCount: 2)
        ask(&scheduler, 1, tokens: 19, images: [picture], try SamplingParameters(maxNewTokens: 9))
        let first = scheduler.plan()
        #expect(scheduler.finishPreparing(picture.key, succeeded: true) == [])
        let second = scheduler.plan()
        #expect(shape(second) == ["1: 8+8"] && second.visions.map(\.tiles) == [0..<1])
        _ = scheduler.commit(first, chosen: [nil])
        let third = scheduler.plan()
        #expect(shape(third) == ["1: 16+3"] && third.visions.isEmpty)
        _ = scheduler.commit(second, chosen: [nil])
        // Only now is it known whether the second step could encode it.
        #expect(scheduler.fail(picture.key).map(\.request.value) == [1])
        #expect(scheduler.commit(third, chosen: [7]).isEmpty && scheduler.violations() == [])
    }

    @Test func `siblings wait until the first token of their leader is known`() throws {
        var scheduler = scheduler()
        let sampling = try SamplingParameters(maxNewTokens: 9)
        ask(&scheduler, 1, tokens: 6, sampling)
        ask(&scheduler, 2, tokens: 6, after: 1, sampling)
        let first = scheduler.plan(), second = scheduler.plan()
        #expect(shape(second) == ["1: 6+1 (-1)"] && scheduler.waitingCount == 1)
        _ = scheduler.commit(first, chosen: [7])
        #expect(shape(scheduler.plan()) == ["1: 7+1 (-1)", "2: 4+2"])
    }

    @Test func `a request that gives way to others chooses its token anew`() throws {
        var limits = Self.limits
        limits.pageCount = 5
        var scheduler = scheduler(limits)
        let sampling = try SamplingParameters(maxNewTokens: 9)
        ask(&scheduler, 1, tokens: 6, sampling)
        ask(&scheduler, 2, tokens: 3, sampling)
        var plan = scheduler.plan()
        var lost: [Int] = [], deliveries: [Delivery] = []
        while scheduler.counters.preempted == 0 {
            let next = scheduler.plan()
            lost = plan.sequences.filter { $0.id.value == 2 }.compactMap(\.choice?.index)
            deliveries = scheduler.commit(plan, chosen: plan.sequences.map { _ in 7 })
            plan = next
        }
        #expect(lost.count == 1 && deliveries.map(\.id.value) == [1])
        #expect(scheduler.waiting.map(\.generatedCount) == lost && scheduler.violations() == [])
    }

    @Test func `only what a token has vouched for is shared`() throws {
        var scheduler = scheduler()
        ask(&scheduler, 1, tokens: 12, try SamplingParameters(maxNewTokens: 9))
        _ = scheduler.commit(scheduler.plan(), chosen: [nil])
        scheduler.share(at: 0)
        #expect(scheduler.prefixes.keptCount == 0)
        let plan = scheduler.plan()
        _ = scheduler.plan()
        _ = scheduler.commit(plan, chosen: [7])
        #expect(scheduler.prefixes.keptCount == 3 && scheduler.violations() == [])
    }
}
