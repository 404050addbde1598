import Engine
import Images
import Models
import Scheduling
import Synchronization
import TestSupport
import Testing

/// The engine's behaviour round answers: refusals, cancelling, failing, stopping.
struct EngineTests {
    let model: TestModel

    init() throws { model = try TestModel("internvl-qwen2-hf") }

    private func greedy(_ count: Int) throws -> SamplingParameters {
        try SamplingParameters(maxNewTokens: count, ignoresEnd: true)
    }

    /// The model with steps that take so long that a request still runs when it is looked at.
    private func slowly() -> TestModel {
        var slow = model
        slow.model = AlteredModel(model.model, on: model.device) { _ in .delay(seconds: 0.003) }
        return slow
    }

    /// Waits until the engine has nothing to do, at most five seconds.
    private func settle(_ engine: Engine) async throws {
        for _ in 0..<500 {
            let now = engine.statistics()
            if now.runningRequests == 0, now.waitingRequests == 0 { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("the engine still has requests")
    }

    @Test func `a prompt that can never fit is refused at once`() async throws {
        let engine = try model.makeEngine { $0.cachedTokens = 64 }
        let long = PreparedPrompt(tokenIDs: Array(repeating: 5, count: 64))
        #expect(throws: AdmissionError.promptTooLong(tokenCount: 64, limit: 63)) {
            try engine.submit(long, images: [], sampling: greedy(1))
        }
        #expect(throws: AdmissionError.emptyPrompt) {
            try engine.submit(PreparedPrompt(tokenIDs: []), images: [], sampling: greedy(1))
        }
        let longest = PreparedPrompt(tokenIDs: Array(repeating: 5, count: 63))
        let answer = try await Answer(engine.submit(longest, images: [], sampling: greedy(100)))
        #expect(answer.tokens.count == 1 && answer.finish == .length)
        await engine.shutDown(drainSeconds: 0)
    }

    @Test func `a step there is no memory for ends its requests and spoils no other`() async throws {
        var altered = model
        altered.model = AlteredModel(model.model, on: model.device) { $0 == 5 ? .refused : .none }
        let engine = try altered.makeEngine()
        let golden = GoldenFile.of("internvl-qwen2-hf").cases[0]
        await #expect(throws: GenerationError.self) { _ = try await Answer(of: golden, altered, engine) }
        for golden in GoldenFile.of("internvl-qwen2-hf").cases.prefix(4) {
            #expect(try await Answer(of: golden, altered, engine).tokens == golden.greedyIds)
        }
        #expect(engine.failure == nil)
        await engine.shutDown(drainSeconds: 0)
    }

    @Test func `more pictures than the cache can hold are refused at once`() async throws {
        let engine = try model.makeEngine { $0.imageCapacity = 2 }
        let spans = (0..<3).map { ImageSpan(key: key(UInt8($0)), start: Int($0) * 20, tokenCount: 16) }
        let prompt = PreparedPrompt(tokenIDs: Array(repeating: 5, count: 70), images: spans)
        let source = ImageSource(picture: { () throws(ImageError) in throw .empty })
        #expect(throws: AdmissionError.tooManyImages(count: 3, limit: 2)) {
            try engine.submit(prompt, images: [source, source, source], sampling: greedy(1))
        }
        await engine.shutDown(drainSeconds: 0)
    }

    @Test func `a picture that cannot be read ends its request alone`() async throws {
        let engine = try model.makeEngine()
        let prompt = PreparedPrompt(
            tokenIDs: Array(repeating: 5, count: 20),
            images: [ImageSpan(key: key(1), start: 0, tokenCount: 16)])
        let broken = ImageSource(picture: { () throws(ImageError) in throw .corrupt(.png) })
        let stream = try engine.submit(prompt, images: [broken], sampling: greedy(4))
        let other = try engine.submit(PreparedPrompt(tokenIDs: [5, 6]), images: [], sampling: greedy(4))
        await #expect(throws: GenerationError.image(index: 0, .corrupt(.png))) { try await Answer(stream) }
        #expect(try await Answer(other).tokens.count == 4)
        #expect(engine.statistics().cachedImages == 0)
        await engine.shutDown(drainSeconds: 0)
    }

    @Test func `letting go of a stream cancels its request`() async throws {
        let engine = try slowly().makeEngine()
        func readOneToken() async throws {
            let stream = try engine.submit(
                PreparedPrompt(tokenIDs: [5, 6, 7]), images: [], sampling: greedy(900))
            for try await event in stream { if case .token = event { break } }
        }
        try await readOneToken()
        try await settle(engine)
        let statistics = engine.statistics()
        #expect(statistics.requestsCancelled == 1 && statistics.usedPages == 0)
        await engine.shutDown(drainSeconds: 0)
    }

    @Test func `a full queue refuses, and opens again`() async throws {
        let engine = try slowly().makeEngine {
            $0.runningRequests = 1
            $0.queuedRequests = 1
        }
        let prompt = PreparedPrompt(tokenIDs: [5, 6, 7])
        let first = try engine.submit(prompt, images: [], sampling: greedy(100))
        let second = try engine.submit(prompt, images: [], sampling: greedy(2))
        #expect(throws: AdmissionError.queueFull) {
            try engine.submit(prompt, images: [], sampling: greedy(1))
        }
        #expect(try await Answer(first).tokens.count == 100)
        #expect(try await Answer(second).tokens.count == 2)
        #expect(try await Answer(engine.submit(prompt, images: [], sampling: greedy(1))).tokens.count == 1)
        await engine.shutDown(drainSeconds: 0)
    }

    @Test func `stopping drains what runs and refuses what comes`() async throws {
        let engine = try slowly().makeEngine()
        let stream = try engine.submit(PreparedPrompt(tokenIDs: [5, 6, 7]), images: [], sampling: greedy(20))
        async let answer = Answer(stream)
        await engine.shutDown(drainSeconds: 10)
        #expect(try await answer.tokens.count == 20)
        #expect(throws: AdmissionError.shuttingDown) {
            try engine.submit(PreparedPrompt(tokenIDs: [5]), images: [], sampling: greedy(1))
        }
    }

    @Test func `stopping without patience ends what runs`() async throws {
        let engine = try slowly().makeEngine()
        let stream = try engine.submit(
            PreparedPrompt(tokenIDs: [5, 6, 7]), images: [], sampling: greedy(900))
        await engine.shutDown(drainSeconds: 0)
        await #expect(throws: GenerationError.cancelled) { try await Answer(stream) }
    }

    @Test func `the same seed gives the same tokens alone and among others`() async throws {
        let engine = try model.makeEngine()
        let prompt = PreparedPrompt(tokenIDs: [5, 6, 7, 8])
        func ask(_ seed: UInt64) throws -> TokenStream {
            let sampling = try SamplingParameters(
                temperature: 1.5, seed: seed, maxNewTokens: 24, ignoresEnd: true)
            return try engine.submit(prompt, images: [], sampling: sampling)
        }
        let alone = try await Answer(ask(1)).tokens
        let streams = try (1...6).map { try ask($0) }
        var together: [[Int32]] = []
        for stream in streams { together.append(try await Answer(stream).tokens) }
        #expect(together[0] == alone)
        #expect(Set(together).count == 6, "other seeds give other tokens")
        await engine.shutDown(drainSeconds: 0)
    }

    @Test func `end tokens come only after the least number of tokens`() async throws {
        let engine = try model.makeEngine()
        // At this temperature every token is about as likely, so an end would come early without the rule.
        for seed in 0..<20 {
            let sampling = try SamplingParameters(
                temperature: 100, seed: UInt64(seed), maxNewTokens: 900, minNewTokens: 100)
            let stream = try engine.submit(PreparedPrompt(tokenIDs: [5, 6]), images: [], sampling: sampling)
            let answer = try await Answer(stream)
            #expect(answer.tokens.count >= 100)
            #expect(answer.tokens.allSatisfy { $0 != 689 && $0 != 687 })
        }
        await engine.shutDown(drainSeconds: 0)
    }

    private func key(_ number: UInt8) -> ImageKey { ImageKey(digest: Array(repeating: number, count: 32)) }
}
