import Engine
import Images
import Prompts
import Scheduling
import Tensors
import TestSupport
import Testing

/// An answer, collected.
struct Answer {
    private(set) var tokens: [Int32] = []
    /// The likeliest tokens at each place.
    private(set) var top: [[Int32]] = []
    private(set) var logprobs: [Float] = []
    /// What was told of the prompt.
    private(set) var prompt: [PromptToken] = []
    private(set) var found = CacheFindings(tokenCount: 0, imageCount: 0)
    private(set) var finish: FinishReason?

    /// 32 greedy tokens for a golden case.
    init(
        of golden: some GoldenQuestion, _ model: TestModel, _ engine: Engine, topLogprobCount: Int = 0,
    ) async throws {
        let sampling = try SamplingParameters(
            maxNewTokens: golden.greedyIds.count, ignoresEnd: true, topLogprobCount: topLogprobCount)
        try await self.init(
            engine.submit(
                try golden.prompt(model),
                images: try golden.images(model).map { ImageSource(picture: $0.picture) }, sampling: sampling)
        )
    }

    /// Asks all of `cases` at once, each `times`, and expects the reference's tokens.
    static func expectTokens(
        of cases: [some GoldenQuestion], times: Int = 1, _ model: TestModel, _ engine: Engine,
        _ what: String = "",
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for golden in cases {
                for _ in 0..<times {
                    group.addTask {
                        let answer = try await Answer(of: golden, model, engine)
                        #expect(answer.tokens == golden.greedyIds, "\(what) \(golden.name)")
                        #expect(answer.finish == .length)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// Asks all of `cases` at once, and again: each picture goes through the tower once, and nothing is kept at the end.
    static func expectTokensFromCaches(
        of cases: [some GoldenQuestion & GoldenConversation], _ model: TestModel,
    ) async throws {
        let engine = try model.makeEngine { $0.tokensPerStep = 96 }
        for _ in 0..<2 { try await expectTokens(of: cases, model, engine) }
        #expect(engine.statistics().imagesEncoded == Set(cases.flatMap(\.imageFiles)).count)
        await engine.shutDown(drainSeconds: 0)
        #expect(engine.statistics().usedPages == 0 && engine.statistics().referencedImages == 0)
    }

    /// Asks all of `cases` of an engine for two sequences of at most `length`, in steps as large as that may be.
    static func expectTokensOfFewShort(
        _ cases: [some GoldenQuestion], length: Int, _ model: TestModel,
    ) async throws {
        let engine = try model.makeEngine { configuration in
            configuration.runningRequests = 2
            configuration.maxSequenceLength = length
            configuration.tokensPerStep = 256
        }
        try await expectTokens(of: cases, model, engine)
        await engine.shutDown(drainSeconds: 0)
    }

    /// Asks all of `cases` of an engine without room, until a request has given way: when that happens depends on their arrival.
    static func expectTokensOfCramped(
        _ cases: [some GoldenQuestion], _ model: TestModel, _ engine: Engine,
    ) async throws {
        for _ in 0..<10 {
            try await expectTokens(of: cases, times: 3, model, engine)
            if engine.statistics().requestsPreempted > 0 { break }
        }
        let statistics = engine.statistics()
        #expect(statistics.requestsPreempted > 0 && statistics.imageCacheEvictions > 0)
    }

    /// Everything a stream brings.
    init(_ stream: TokenStream) async throws {
        for try await event in stream {
            switch event {
            case .started(let start): found = start.found
            case .prompt(let tokens): prompt += tokens
            case .token(let token):
                tokens.append(token.id)
                logprobs.append(token.logprob)
                top.append(token.top.map(\.id))
            case .finished(let reason): finish = reason
            }
        }
    }
}

extension EngineConfiguration {
    /// Leaves so little room that requests give way, chunks end within pictures and pictures are evicted.
    mutating func cramp(cachedTokens count: Int) {
        cachedTokens = count
        pageSize = 8
        chunkSize = 7
        tokensPerStep = 24
        tilesPerStep = 1
        imageCapacity = 3
    }
}

/// A conversation whose answer is known.
protocol GoldenQuestion: Sendable {
    var name: String { get }
    var greedyIds: [Int32] { get }
    func prompt(_ model: TestModel) throws -> PreparedPrompt
    func images(_ model: TestModel) throws -> [PlannedImage]
}

extension GoldenCase: GoldenQuestion {
    func prompt(_ model: TestModel) throws -> PreparedPrompt { try model.prompt(of: self) }
    func images(_ model: TestModel) throws -> [PlannedImage] { try model.images(of: self) }
}

extension LlavaGoldenCase: GoldenQuestion {}
extension QwenGoldenCase: GoldenQuestion {}

extension GoldenQuestion where Self: GoldenConversation {
    func prompt(_ model: TestModel) throws -> PreparedPrompt { try model.prompt(of: self) }
    func images(_ model: TestModel) throws -> [PlannedImage] { try model.images(of: self) }
}
