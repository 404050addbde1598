import Testing

@testable import Scheduling

/// Single decisions of the scheduler.
struct SchedulerTests {
    static let limits = {
        var limits = SchedulerLimits(
            pageCount: 16, pageSize: 4, modelLength: 64, runningRequests: 4, tokensPerStep: 16, chunkSize: 8,
            imageCapacity: 2, imagePageCount: 4, rowsPerImagePage: 2, tilesPerStep: 1, preparations: 2)
        limits.keepsPrefixes = false
        return limits
    }()

    private func scheduler(_ limits: SchedulerLimits = Self.limits) -> Scheduler {
        Scheduler(limits: limits, endIDs: [0])
    }

    private func picture(_ number: UInt8) -> ImageKey {
        ImageKey(digest: Array(repeating: number, count: 32))
    }

    private func ask(
        _ scheduler: inout Scheduler, _ id: UInt64, tokens: Int, most: Int = 4, least: Int = 0,
        pictures: [(ImageKey, Int, Int)] = [],
    ) throws {
        let prompt = PreparedPrompt(
            tokenIDs: Array(repeating: 5, count: tokens),
            images: pictures.map { ImageSpan(key: $0.0, start: $0.1, tokenCount: $0.2) })
        scheduler.submit(
            RequestID(id), prompt: prompt,
            sampling: try SamplingParameters(maxNewTokens: most, minNewTokens: least),
            seed: id)
    }

    private func shape(_ plan: StepPlan) -> [String] {
        plan.sequences.map {
            "\($0.id.value): \($0.start)+\($0.tokens.count)\($0.choice == nil ? "" : " choose")"
        }
    }

    @Test func `a prompt is computed in chunks, beside the tokens of running requests`() throws {
        var scheduler = scheduler()
        try ask(&scheduler, 1, tokens: 3)
        var plan = scheduler.plan()
        #expect(shape(plan) == ["1: 0+3 choose"])
        #expect(plan.started.map(\.id) == [RequestID(1)])
        _ = scheduler.commit(plan, chosen: [7])
        try ask(&scheduler, 2, tokens: 20)
        plan = scheduler.plan()
        #expect(shape(plan) == ["1: 3+1 choose", "2: 0+8"])
        _ = scheduler.commit(plan, chosen: [7, nil])
        #expect(shape(scheduler.plan()) == ["1: 4+1 choose", "2: 8+8"])
    }

    @Test func `a picture that must be in one step is in one, whatever is computed beside it`() throws {
        var limits = Self.limits
        limits.keepsPicturesTogether = true
        limits.tokensPerStep = 10
        limits.pageCount = 32
        var scheduler = scheduler(limits)
        try ask(&scheduler, 1, tokens: 2)
        try ask(&scheduler, 2, tokens: 20, pictures: [(picture(1), 3, 8)])
        var plan = scheduler.plan()
        // The words in front of it, while it is made ready.
        #expect(shape(plan) == ["1: 0+2 choose", "2: 0+3"])
        _ = scheduler.commit(plan, chosen: [7, nil])
        scheduler.finishLoading(picture(1))
        plan = scheduler.plan()
        #expect(shape(plan) == ["1: 2+1 choose", "2: 3+8"])
        _ = scheduler.commit(plan, chosen: [7, nil])
        // A prompt that begins with it, and one whose chunk would end within it.
        try ask(&scheduler, 3, tokens: 12, pictures: [(picture(1), 0, 8)])
        try ask(&scheduler, 4, tokens: 12, pictures: [(picture(1), 1, 8)])
        plan = scheduler.plan()
        #expect(shape(plan) == ["1: 3+1 choose", "2: 11+8", "4: 0+1"])
    }

    @Test func `an end token ends an answer and is not part of it`() throws {
        var scheduler = scheduler()
        try ask(&scheduler, 1, tokens: 3)
        let delivery = scheduler.commit(scheduler.plan(), chosen: [0])
        #expect(delivery == [Delivery(id: RequestID(1), hasToken: false, finish: .stop, isFailed: false)])
        #expect(scheduler.isIdle && scheduler.usedPageCount == 0)
    }

    @Test func `end tokens are forbidden until the least number of tokens is there`() throws {
        var scheduler = scheduler()
        try ask(&scheduler, 1, tokens: 3, least: 2)
        var forbidden: [Bool] = []
        for _ in 0..<3 {
            let plan = scheduler.plan()
            forbidden += plan.sequences.compactMap { $0.choice?.forbidsEnd }
            _ = scheduler.commit(plan, chosen: [7])
        }
        #expect(forbidden == [true, true, false])
    }

    @Test func `the prompt waits in front of a picture until its embeddings are there`() throws {
        var scheduler = scheduler()
        try ask(&scheduler, 1, tokens: 8, pictures: [(picture(1), 2, 4)])
        var plan = scheduler.plan()
        #expect(shape(plan) == ["1: 0+2"] && plan.started.isEmpty)
        #expect(plan.preparations == [ImagePreparation(key: picture(1), request: RequestID(1), index: 0)])
        _ = scheduler.commit(plan, chosen: [nil])
        #expect(scheduler.plan().isEmpty)
        #expect(scheduler.finishPreparing(picture(1), succeeded: true) == [])
        for tile in 0..<2 {
            plan = scheduler.plan()
            #expect(plan.visions.map(\.tiles) == [tile..<(tile + 1)] && plan.sequences.isEmpty)
            #expect(plan.started.isEmpty == (tile == 1))
            _ = scheduler.commit(plan, chosen: [])
        }
        plan = scheduler.plan()
        #expect(shape(plan) == ["1: 2+6 choose"])
        #expect(plan.sequences.first?.imageRows.filter { $0 >= 0 }.count == 4)
        _ = scheduler.commit(plan, chosen: [7])
        #expect(scheduler.images.referencedCount == 0 && scheduler.images.count == 1)
    }

    @Test func `image tokens with text between them find their rows, chunk by chunk`() throws {
        var scheduler = scheduler()
        let span = ImageSpan(key: picture(1), runs: [2..<4, 7..<8, 9..<10])
        #expect(span.start == 2 && span.range == 2..<10 && span.tokenCount == 4)
        scheduler.submit(
            RequestID(1), prompt: PreparedPrompt(tokenIDs: Array(repeating: 5, count: 12), images: [span]),
            sampling: try SamplingParameters(maxNewTokens: 1), seed: 1)
        _ = scheduler.commit(scheduler.plan(), chosen: [nil])
        scheduler.finishLoading(picture(1))
        let pages = try #require(scheduler.images[picture(1)]?.pages)
        let rows = [0, 1, 2, 3].map { pages[$0 / 2] * 2 + Int32($0 % 2) }
        var plan = scheduler.plan()
        #expect(shape(plan) == ["1: 2+8"])
        #expect(plan.sequences[0].imageRows == [rows[0], rows[1], -1, -1, -1, rows[2], -1, rows[3]])
        _ = scheduler.commit(plan, chosen: [nil])
        plan = scheduler.plan()
        #expect(plan.sequences[0].imageRows == [-1, -1])
    }

    @Test func `a picture whose embeddings are found elsewhere needs no tower`() throws {
        var scheduler = scheduler()
        try ask(&scheduler, 1, tokens: 8, pictures: [(picture(1), 2, 3)])
        var plan = scheduler.plan()
        #expect(plan.preparations.map(\.key) == [picture(1)] && plan.started.isEmpty)
        #expect(scheduler.images[picture(1)]?.rowCount == 3)
        _ = scheduler.commit(plan, chosen: [nil])
        scheduler.finishLoading(picture(1))
        plan = scheduler.plan()
        #expect(plan.visions.isEmpty && plan.started.map(\.id) == [RequestID(1)])
        #expect(shape(plan) == ["1: 2+6 choose"])
        _ = scheduler.commit(plan, chosen: [7])
        #expect(scheduler.counters.imagesLoaded == 1 && scheduler.counters.imagesEncoded == 0)
        #expect(scheduler.counters.tilesEncoded == 0 && scheduler.images.count == 1)
        #expect(scheduler.violations() == [])
    }

    @Test func `embeddings that come when nobody needs them any more stay in the cache`() throws {
        var scheduler = scheduler()
        try ask(&scheduler, 1, tokens: 8, pictures: [(picture(1), 2, 4)])
        _ = scheduler.commit(scheduler.plan(), chosen: [nil])
        let wasThere = scheduler.cancel(RequestID(1))
        #expect(wasThere)
        scheduler.finishLoading(picture(1))
        #expect(scheduler.images[picture(1)]?.state == .ready && scheduler.images.referencedCount == 0)
        try ask(&scheduler, 2, tokens: 8, pictures: [(picture(1), 2, 4)])
        let plan = scheduler.plan()
        #expect(plan.preparations.isEmpty && scheduler.counters.imageHits == 1)
        #expect(scheduler.violations() == [])
    }

    @Test func `requests with the same picture share one encoding`() throws {
        var scheduler = scheduler()
        try ask(&scheduler, 1, tokens: 6, pictures: [(picture(1), 0, 4)])
        try ask(&scheduler, 2, tokens: 9, pictures: [(picture(1), 3, 4)])
        let plan = scheduler.plan()
        #expect(plan.preparations.count == 1)
        #expect(scheduler.counters.imageMisses == 1 && scheduler.counters.imageHits == 1)
        #expect(scheduler.images[picture(1)]?.references == 2)
    }

    @Test func `a picture that cannot be read ends every request that has it, and is forgotten`() throws {
        var scheduler = scheduler()
        try ask(&scheduler, 1, tokens: 6, pictures: [(picture(1), 0, 2), (picture(2), 2, 2)])
        try ask(&scheduler, 2, tokens: 6, pictures: [(picture(2), 0, 2)])
        try ask(&scheduler, 3, tokens: 6)
        _ = scheduler.commit(scheduler.plan(), chosen: [7])
        let ended = scheduler.finishPreparing(picture(2), succeeded: false)
        #expect(ended.map(\.request) == [RequestID(1), RequestID(2)] && ended.map(\.index) == [1, 0])
        #expect(scheduler.runningCount == 1 && scheduler.images[picture(2)] == nil)
        #expect(scheduler.violations() == [])
    }

    @Test func `a request that does not fit yet is passed by one that does`() throws {
        var scheduler = scheduler()
        try ask(&scheduler, 1, tokens: 40)
        _ = scheduler.plan()
        try ask(&scheduler, 2, tokens: 40)
        try ask(&scheduler, 3, tokens: 3)
        _ = scheduler.plan()
        #expect(scheduler.running.map(\.id.value) == [1, 3] && scheduler.waiting.map(\.id.value) == [2])
    }

    @Test func `a request is not passed for ever`() throws {
        var limits = Self.limits
        limits.mostBypasses = 3
        var scheduler = scheduler(limits)
        try ask(&scheduler, 1, tokens: 40, most: 24)
        try ask(&scheduler, 2, tokens: 40)
        var passed = 0
        for id in 3..<20 {
            try ask(&scheduler, UInt64(id), tokens: 3, most: 1)
            let plan = scheduler.plan()
            passed += plan.sequences.count { $0.id.value > 2 }
            _ = scheduler.commit(plan, chosen: plan.sequences.map { $0.choice == nil ? nil : 7 })
        }
        #expect(passed == 3)
    }

    @Test func `when pages run out the youngest gives way and is computed again`() throws {
        var limits = Self.limits
        limits.pageCount = 6
        var scheduler = scheduler(limits)
        try ask(&scheduler, 1, tokens: 6, most: 16)
        try ask(&scheduler, 2, tokens: 6, most: 16)
        for _ in 0..<8 {
            let plan = scheduler.plan()
            _ = scheduler.commit(plan, chosen: plan.sequences.map { $0.choice == nil ? nil : 7 })
            #expect(scheduler.violations() == [])
        }
        #expect(scheduler.counters.preempted == 1 && scheduler.running.map(\.id.value) == [1])
        for _ in 0..<40 {
            let plan = scheduler.plan()
            _ = scheduler.commit(plan, chosen: plan.sequences.map { $0.choice == nil ? nil : 7 })
        }
        #expect(
            scheduler.isIdle && scheduler.counters.finished == 2 && scheduler.counters.generatedTokens == 32)
    }

    @Test func `what a prompt has in common with an earlier one is not computed again`() throws {
        var limits = Self.limits
        limits.keepsPrefixes = true
        var scheduler = scheduler(limits)
        try ask(&scheduler, 1, tokens: 10, pictures: [(picture(1), 2, 4)])
        _ = scheduler.commit(scheduler.plan(), chosen: [nil])
        _ = scheduler.finishPreparing(picture(1), succeeded: true)
        while !scheduler.isIdle {
            let plan = scheduler.plan()
            _ = scheduler.commit(plan, chosen: plan.sequences.map { $0.choice == nil ? nil : 7 })
        }
        #expect(scheduler.usedPageCount == 0 && scheduler.prefixes.keptCount == 3)
        // The same again: two of its three pages are kept whole, and the picture lies in them.
        try ask(&scheduler, 2, tokens: 10, pictures: [(picture(1), 2, 4)])
        var plan = scheduler.plan()
        #expect(shape(plan) == ["2: 8+2 choose"] && plan.started.first?.found.tokenCount == 8)
        #expect(plan.started.first?.found.imageCount == 1 && scheduler.images.referencedCount == 0)
        _ = scheduler.commit(plan, chosen: [7])
        // Another picture in the same place shares only what is before it, which is no whole page.
        try ask(&scheduler, 3, tokens: 10, pictures: [(picture(2), 2, 4)])
        plan = scheduler.plan()
        #expect(plan.sequences.last.map { $0.start } == 0 && plan.preparations.count == 1)
        #expect(scheduler.violations() == [])
    }

    @Test func `a request that asks for it is computed afresh`() throws {
        var limits = Self.limits
        limits.keepsPrefixes = true
        var scheduler = scheduler(limits)
        for id in 1...2 {
            var prompt = PreparedPrompt(tokenIDs: Array(repeating: 5, count: 9))
            prompt.usesPrefixCache = id == 1
            scheduler.submit(
                RequestID(UInt64(id)), prompt: prompt, sampling: try SamplingParameters(maxNewTokens: 1),
                seed: 1)
            var starts: [Int] = []
            while !scheduler.isIdle {
                let plan = scheduler.plan()
                starts += plan.sequences.map(\.start)
                _ = scheduler.commit(plan, chosen: plan.sequences.map { $0.choice == nil ? nil : 7 })
            }
            #expect(starts == [0, 8])
        }
    }

    @Test func `a request without a usable token fails alone`() throws {
        var scheduler = scheduler()
        try ask(&scheduler, 1, tokens: 3)
        try ask(&scheduler, 2, tokens: 3)
        let deliveries = scheduler.commit(scheduler.plan(), chosen: [nil, 7])
        #expect(deliveries.map(\.isFailed) == [true, false] && scheduler.running.map(\.id.value) == [2])
    }
}
