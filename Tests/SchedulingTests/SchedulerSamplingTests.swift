import Testing

@testable import Scheduling

/// What the scheduler does for sampling: counts, ends, siblings, reports on prompts.
struct SchedulerSamplingTests {
    private static let limits = {
        var limits = SchedulerLimits(
            pageCount: 32, pageSize: 4, modelLength: 64, runningRequests: 3, tokensPerStep: 16, chunkSize: 8,
            imageCapacity: 2, imagePageCount: 4, rowsPerImagePage: 2, tilesPerStep: 1, preparations: 2)
        limits.scoresPerStep = 3
        return limits
    }()

    private func scheduler(_ limits: SchedulerLimits = Self.limits) -> Scheduler {
        Scheduler(limits: limits, endIDs: [0])
    }

    private func shape(_ plan: StepPlan) -> [String] {
        plan.sequences.map {
            "\($0.id.value): \($0.start)+\($0.tokens.count)\($0.choice == nil ? "" : " choose")"
        }
    }

    /// Runs one step in which every choice is `token`.
    private func step(_ scheduler: inout Scheduler, _ token: Int32 = 7) -> (plan: StepPlan, [Delivery]) {
        let plan = scheduler.plan()
        let deliveries = scheduler.commit(plan, chosen: plan.sequences.map { $0.choice == nil ? nil : token })
        #expect(scheduler.violations() == [])
        return (plan, deliveries)
    }

    private func ask(
        _ scheduler: inout Scheduler, _ id: UInt64, _ tokens: [Int32], images: [ImageSpan] = [],
        after leader: UInt64? = nil, _ sampling: SamplingParameters,
    ) {
        scheduler.submit(
            RequestID(id), prompt: PreparedPrompt(tokenIDs: tokens, images: images), sampling: sampling,
            seed: id,
            after: leader.map(RequestID.init))
    }

    @Test func `tokens are counted as they come, those of the prompt if asked, image tokens never`() throws {
        var penalties = SamplingPenalties()
        penalties.presence = 1
        for countsPrompt in [false, true] {
            penalties.countsPrompt = countsPrompt
            var scheduler = scheduler()
            let picture = ImageSpan(
                key: ImageKey(digest: Array(repeating: 1, count: 32)), start: 2, tokenCount: 2)
            ask(
                &scheduler, 1, [5, 6, 99, 99, 5], images: [picture],
                try SamplingParameters(maxNewTokens: 9, penalties: penalties))
            _ = scheduler.commit(scheduler.plan(), chosen: [nil])
            _ = scheduler.finishPreparing(picture.key, succeeded: true)
            var tallies: [TokenTally] = []
            // The first step is the picture's.
            for token in [Int32](arrayLiteral: 6, 6, 6, 8, 5) {
                tallies += step(&scheduler, token).plan.sequences.compactMap(\.choice).map(\.tally)
            }
            #expect(tallies.first?.ids == (countsPrompt ? [5, 6] : []))
            #expect(tallies.last?.ids == (countsPrompt ? [5, 6, 8] : [6, 8]))
            #expect(tallies.last?.counts == (countsPrompt ? [2, 3, 1] : [2, 1]))
        }
        var scheduler = scheduler()
        ask(&scheduler, 1, [5], try SamplingParameters(maxNewTokens: 9))
        _ = step(&scheduler)
        #expect(step(&scheduler).plan.sequences.first?.choice?.tally == TokenTally())
    }

    @Test func `a stop token ends an answer though ends are ignored, and is no part of it`() throws {
        var scheduler = scheduler()
        let sampling = try SamplingParameters(
            maxNewTokens: 9, ignoresEnd: true, rules: TokenRules(stopIDs: [8]))
        ask(&scheduler, 1, [5], sampling)
        #expect(step(&scheduler, 0).1.map(\.hasToken) == [true])
        let end = step(&scheduler, 8).1
        #expect(end == [Delivery(id: RequestID(1), hasToken: false, finish: .stop, isFailed: false)])
    }

    @Test func `a stop sequence ends an answer of enough tokens and is part of it`() throws {
        for least in [0, 4] {
            var scheduler = scheduler()
            let sampling = try SamplingParameters(
                maxNewTokens: 9, minNewTokens: least, rules: TokenRules(stopSequences: [[7, 8], [5, 7]]))
            // [5, 7] would match at the first token if the prompt counted.
            ask(&scheduler, 1, [4, 5], sampling)
            var finishes: [FinishReason?] = []
            for token in [Int32](arrayLiteral: 7, 8, 7, 8) where !scheduler.isIdle {
                finishes += step(&scheduler, token).1.map(\.finish)
            }
            #expect(finishes == (least == 0 ? [nil, .stop] : [nil, nil, nil, .stop]))
        }
    }

    @Test func `siblings hold nothing until the prompt is there, then share its pages`() throws {
        var scheduler = scheduler()
        let prompt = (1...18).map(Int32.init)
        let sampling = try SamplingParameters(maxNewTokens: 3)
        ask(&scheduler, 1, prompt, sampling)
        for id in UInt64(2)...4 { ask(&scheduler, id, prompt, after: 1, sampling) }
        ask(&scheduler, 5, [9, 9], sampling)
        #expect(shape(step(&scheduler).plan) == ["1: 0+8", "5: 0+2 choose"])
        #expect(shape(step(&scheduler).plan) == ["5: 2+1 choose", "1: 8+8"])
        #expect(scheduler.waitingCount == 3)
        #expect(shape(step(&scheduler).plan) == ["5: 3+1 choose", "1: 16+2 choose"])
        #expect(shape(step(&scheduler).plan) == ["1: 18+1 choose", "2: 16+2 choose", "3: 16+2 choose"])
        while !scheduler.isIdle { _ = step(&scheduler) }
        #expect(scheduler.counters.finished == 5 && scheduler.counters.promptTokens == 20)
        #expect(scheduler.counters.cachedPromptTokens == 0, "only what a client sent counts")
    }

    @Test func `siblings go on when the first is cancelled, or the cache is not for them`() throws {
        let prompt = (1...18).map(Int32.init), sampling = try SamplingParameters(maxNewTokens: 2)
        var scheduler = scheduler()
        ask(&scheduler, 1, prompt, sampling)
        ask(&scheduler, 2, prompt, after: 1, sampling)
        _ = step(&scheduler)
        let isCancelled = scheduler.cancel(RequestID(1))
        #expect(isCancelled)
        #expect(shape(step(&scheduler).plan) == ["2: 0+8"])
        while !scheduler.isIdle { _ = step(&scheduler) }

        var limits = Self.limits
        limits.keepsPrefixes = false
        scheduler = self.scheduler(limits)
        ask(&scheduler, 1, [1, 2], sampling)
        ask(&scheduler, 2, [1, 2], after: 1, sampling)
        #expect(shape(step(&scheduler).plan) == ["1: 0+2 choose", "2: 0+2 choose"])
    }

    @Test func `the text of a prompt is reported on once, a few tokens a step, though its pages are kept`()
        throws
    {
        var scheduler = scheduler()
        let plain = try SamplingParameters(maxNewTokens: 1)
        let prompt = (1...9).map(Int32.init)
        ask(&scheduler, 1, prompt, plain)
        while !scheduler.isIdle { _ = step(&scheduler) }
        ask(&scheduler, 2, prompt, try SamplingParameters(maxNewTokens: 2, promptLogprobCount: 4))
        var places: [[Int]] = []
        while !scheduler.isIdle {
            for sequence in step(&scheduler).plan.sequences {
                #expect(
                    sequence.scoring.map { $0.ids == $0.places.map { prompt[$0] } && $0.topCount == 4 }
                        != false)
                places.append(sequence.scoring?.places ?? [])
            }
        }
        #expect(places == [[1, 2, 3], [4, 5, 6], [7, 8], []])
    }
}
