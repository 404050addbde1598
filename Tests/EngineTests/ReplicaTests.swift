import CPUBackend
import Images
import Models
import Prompts
import Scheduling
import Tensors
import TestSupport
import Testing
import Tokenizers

@testable import Engine

/// Several engines behind one door.
struct ReplicaTests {
    let model: TestModel
    let cases: [GoldenCase]

    init() throws {
        model = try TestModel("internvl-qwen2-hf")
        cases = GoldenFile.of("internvl-qwen2-hf").cases.filter { $0.tiling.thumbnail != false }
    }

    private func replicas(
        _ count: Int = 2, _ change: (inout EngineConfiguration) -> Void = { _ in },
    ) throws -> Replicas {
        Replicas(try (0..<count).map { _ in try model.makeEngine(change) })
    }

    private func greedy(_ count: Int) throws -> SamplingParameters {
        try SamplingParameters(maxNewTokens: count, ignoresEnd: true)
    }

    private func ask(
        _ golden: GoldenCase, _ replicas: Replicas, count: Int = 1,
    ) throws -> [TokenStream] {
        try replicas.submit(
            golden.prompt(model), images: golden.images(model).map { ImageSource(picture: $0.picture) },
            sampling: greedy(golden.greedyIds.count), count: count)
    }

    /// Asks all cases at once, each `times`, and expects the reference's tokens.
    private func expectTokens(times: Int, _ replicas: Replicas) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for golden in cases {
                for _ in 0..<times {
                    group.addTask {
                        let answer = try await Answer(ask(golden, replicas)[0])
                        #expect(answer.tokens == golden.greedyIds, "\(golden.name)")
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// A model with steps of `seconds` more, which fails for good in step `fatal`.
    private func altered(seconds: Double = 0, fatal: Int? = nil) throws -> Engine {
        var altered = model
        altered.model = AlteredModel(model.model, on: model.device) {
            $0 == fatal ? .fatal : .delay(seconds: seconds)
        }
        return try altered.makeEngine()
    }

    @Test func `two give the reference's tokens, and share the work`() async throws {
        let replicas = try replicas()
        try await expectTokens(times: 3, replicas)
        let each = replicas.statisticsOfEach(), all = EngineStatistics(sumOf: each)
        #expect(each.count == 2 && each.allSatisfy { $0.requestsFinished > 0 })
        #expect(all.requestsFinished == 3 * cases.count)
        let sums = Mirror(reflecting: all).children.compactMap { child in
            (child.value as? Int).map { (child.label ?? "", $0) }
        }
        #expect(sums.count > 20)
        for (label, sum) in sums where label != "pageSize" {
            let parts = each.flatMap { Mirror(reflecting: $0).children.filter { $0.label == label } }
            #expect(parts.reduce(0) { $0 + ($1.value as? Int ?? 0) } == sum, "\(label)")
        }
        #expect(all.pageSize == each[0].pageSize)
        await replicas.shutDown(drainSeconds: 0)
    }

    @Test func `a conversation finds as much in the caches as with one engine`() async throws {
        let (one, two) = (try replicas(1), try replicas(2))
        let other = PreparedPrompt(tokenIDs: (0..<50).map { Int32(7 + $0 % 90) })
        for replicas in [one, two] {
            // Somebody else comes in between, so that turns do not alternate by chance.
            _ = try await Answer(replicas.submit(other, images: [], sampling: greedy(2), count: 1)[0])
        }
        var ids = (0..<60).map { Int32(5 + ($0 * 7) % 100) }
        for turn in 0..<4 {
            var found: [Int] = []
            var tokens: [[Int32]] = []
            for replicas in [one, two] {
                let answer = try await Answer(
                    replicas.submit(
                        PreparedPrompt(tokenIDs: ids), images: [], sampling: greedy(20), count: 1)[0])
                found.append(answer.found.tokenCount)
                tokens.append(answer.tokens)
                _ = try await Answer(replicas.submit(other, images: [], sampling: greedy(2), count: 1)[0])
            }
            #expect(found[0] == found[1] && tokens[0] == tokens[1], "turn \(turn)")
            #expect(found[0] > 0 || turn == 0)
            ids += tokens[0] + (0..<9).map { Int32(5 + turn * 9 + $0) }
        }
        #expect(one.statistics().cachedPromptTokens == two.statistics().cachedPromptTokens)
        await one.shutDown(drainSeconds: 0)
        await two.shutDown(drainSeconds: 0)
    }

    @Test func `many questions about one picture at once encode it once a replica at most`() async throws {
        let replicas = try replicas(), golden = try #require(cases.first { $0.images.count == 1 })
        let prompt = try golden.prompt(model), images = try golden.images(model)
        let streams = try (0..<64).map { _ in
            try replicas.submit(
                prompt, images: images.map { ImageSource(picture: $0.picture) },
                sampling: greedy(golden.greedyIds.count), count: 1)[0]
        }
        for stream in streams { #expect(try await Answer(stream).tokens == golden.greedyIds) }
        let each = replicas.statisticsOfEach()
        #expect(each.allSatisfy { $0.imagesEncoded <= 1 } && replicas.statistics().imagesEncoded >= 1)
        #expect(each.allSatisfy { $0.requestsFinished >= 8 }, "\(each.map(\.requestsFinished))")
        // Alone it goes where the picture is.
        _ = try await Answer(ask(golden, replicas)[0])
        #expect(replicas.statistics().imagesEncoded == each.reduce(0) { $0 + $1.imagesEncoded })
        await replicas.shutDown(drainSeconds: 0)
    }

    @Test func `answers to one prompt come from one replica`() async throws {
        let replicas = try replicas(), golden = cases[0]
        let streams = try ask(golden, replicas, count: 5)
        for stream in streams { #expect(try await Answer(stream).tokens == golden.greedyIds) }
        #expect(Set(replicas.statisticsOfEach().map(\.requestsSubmitted)) == [0, 5])
        await replicas.shutDown(drainSeconds: 0)
    }

    @Test func `a full replica passes requests on, and all full refuse`() async throws {
        let slow = try replicas { configuration in
            configuration.runningRequests = 1
            configuration.queuedRequests = 1
        }
        let prompt = PreparedPrompt(tokenIDs: (0..<100).map { Int32(5 + $0) })
        // The cache draws all of them to one.
        let streams = try (0..<4).map { _ in
            try slow.submit(prompt, images: [], sampling: greedy(60), count: 1)[0]
        }
        #expect(throws: AdmissionError.queueFull) {
            try slow.submit(prompt, images: [], sampling: greedy(1), count: 1)
        }
        #expect(throws: AdmissionError.sampling(SamplingError("n", "must be at most 2"))) {
            try slow.submit(prompt, images: [], sampling: greedy(1), count: 3)
        }
        for stream in streams { #expect(try await Answer(stream).tokens.count == 60) }
        _ = try await Answer(slow.submit(prompt, images: [], sampling: greedy(1), count: 1)[0])
        #expect(slow.statisticsOfEach().allSatisfy { $0.requestsFinished >= 2 })
        await slow.shutDown(drainSeconds: 0)
    }

    @Test func `a replica that fails is a failure of all, and gets no more requests`() async throws {
        let replicas = Replicas([try altered(seconds: 0.002, fatal: 3), try altered(seconds: 0.002)])
        let prompts = (0..<2).map { number in
            PreparedPrompt(tokenIDs: (0..<20).map { Int32(5 + number * 30 + $0) })
        }
        let streams = try prompts.map {
            try replicas.submit($0, images: [], sampling: greedy(40), count: 1)[0]
        }
        await #expect(throws: GenerationError.failed) { try await Answer(streams[0]) }
        #expect(replicas.failure == "replica 0: it broke" && replicas.isStalled(forSeconds: 1000))
        #expect(try await Answer(streams[1]).tokens.count == 40)
        // Though its cache would draw it.
        let answer = try await Answer(
            replicas.submit(prompts[0], images: [], sampling: greedy(3), count: 1)[0])
        #expect(answer.tokens.count == 3 && replicas.statisticsOfEach()[1].requestsFinished == 2)
        await replicas.shutDown(drainSeconds: 0)
    }

    @Test func `when all have failed nothing is taken`() async throws {
        let replicas = Replicas([try altered(fatal: 1), try altered(fatal: 1)])
        for number in 0..<2 {
            let prompt = PreparedPrompt(tokenIDs: (0..<20).map { Int32(5 + number * 30 + $0) })
            let stream = try replicas.submit(prompt, images: [], sampling: greedy(9), count: 1)[0]
            await #expect(throws: GenerationError.failed) { try await Answer(stream) }
        }
        #expect(throws: AdmissionError.deviceFailed) {
            try replicas.submit(
                PreparedPrompt(tokenIDs: [5, 6]), images: [], sampling: greedy(1), count: 1)
        }
        await replicas.shutDown(drainSeconds: 0)
    }

    @Test func `the load of a request goes with it, however it ends`() async throws {
        let replicas = Replicas([try altered(seconds: 0.003), try altered(seconds: 0.003)])
        func prompt(_ number: Int) -> PreparedPrompt {
            PreparedPrompt(tokenIDs: (0..<40).map { Int32(5 + number * 3 + $0) })
        }
        var streams: [TokenStream] = []
        for number in 0..<4 {
            streams.append(
                try replicas.submit(prompt(number), images: [], sampling: greedy(900), count: 1)[0])
        }
        #expect(replicas.loads.allSatisfy { $0 == 2 * (40 + ReplicaRouter.mostAnswerTokens) })
        streams = []
        #expect(replicas.loads == [0, 0])
        _ = try await Answer(replicas.submit(prompt(9), images: [], sampling: greedy(2), count: 1)[0])
        for _ in 0..<500 where replicas.loads != [0, 0] { try await Task.sleep(for: .milliseconds(2)) }
        #expect(replicas.loads == [0, 0])
        await replicas.shutDown(drainSeconds: 0)
    }

    @Test func `replicas that share memory plan for all of them`() throws {
        // So many that memory is the bound.
        var configuration = EngineConfiguration(elementType: .f32)
        configuration.runningRequests = 1 << 24
        configuration.imageCapacity = 1 << 24
        configuration.imageCacheBytes = 1 << 40
        func plan(_ count: Int) throws -> MemoryPlan {
            try MemoryPlan(
                model.model, device: model.device, rankCount: 1, replicaCount: count,
                configuration: configuration)
        }
        let (one, four) = (try plan(1), try plan(4))
        for path in [\SchedulerLimits.pageCount, \SchedulerLimits.imagePageCount] {
            // What is free changes from one to the other, by what else the machine does.
            let part = Double(four.limits[keyPath: path]) / Double(one.limits[keyPath: path])
            #expect(part > 0.15 && part < 0.35, "\(part)")
        }
        var least = one
        least.limit(to: four)
        #expect(least.limits == four.limits)
    }

    @Test func `replicas made together have equal bounds and a store each, and may share their weights`()
        async throws
    {
        let name = "internvl-qwen2-hf", store = SharedImageTests.MemoryStore()
        let device = CPUDevice(threadCount: 2, exact: true, teamCount: 3)
        let loaded = try ModelFamilies.load(
            folder: Fixtures.folder(name), description: model.model.description, device: device,
            elementType: .f32)
        var configuration = EngineConfiguration(elementType: .f32)
        configuration.cachedTokens = 4096
        configuration.imageCacheBytes = 16 << 20
        let ranks = [ModelRank(model: loaded, device: device)]
        let replicas = try Replicas(
            [ranks, ranks, ranks], sharing: 3, configuration: configuration,
            vocabularyCount: model.prompts.tokenizer.vocabularyCount, stores: [store, store, store])
        try await expectTokens(times: 6, replicas)
        let each = replicas.statisticsOfEach()
        #expect(each.count == 3 && each.allSatisfy { $0.totalPages == 256 && $0.requestsFinished > 0 })
        await replicas.shutDown(drainSeconds: 5)
        let all = replicas.statistics()
        #expect(all.sharedImages?.puts == all.imagesEncoded && all.imagesEncoded > 0)
    }
}
