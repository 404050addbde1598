import Engine
import Images
import Prompts
import Scheduling
import Tensors
import TestSupport
import Testing

/// Sampling rules on the whole way from a request to its tokens.
struct SamplingEngineTests {
    let model: TestModel
    let prompt = PreparedPrompt(tokenIDs: (5..<45).map(Int32.init))

    init() throws { model = try TestModel("internvl-qwen2-hf") }

    /// All tokens of an answer with their alternatives.
    private func tokens(_ stream: TokenStream) async throws -> [SampledToken] {
        var tokens: [SampledToken] = []
        for try await event in stream { if case .token(let token) = event { tokens.append(token) } }
        return tokens
    }

    private func refused(_ engine: Engine, _ sampling: SamplingParameters) -> String? {
        do throws(AdmissionError) {
            _ = try engine.submit(prompt, images: [], sampling: sampling)
            return nil
        } catch {
            guard case .sampling(let error) = error else { return "another error" }
            return error.parameter
        }
    }

    @Test(arguments: [false, true])
    func `penalties count what was there`(countsPrompt: Bool) async throws {
        let engine = try model.makeEngine()
        var penalties = SamplingPenalties()
        penalties.presence = 0.7
        penalties.frequency = 0.3
        penalties.countsPrompt = countsPrompt
        let sampling = try SamplingParameters(
            maxNewTokens: 300, ignoresEnd: true, penalties: penalties, topLogprobCount: 20)
        var counts: [Int32: Float] = [:]
        if countsPrompt { for id in prompt.tokenIDs { counts[id, default: 0] += 1 } }
        var changed = 0
        for token in try await tokens(engine.submit(prompt, images: [], sampling: sampling)) {
            func score(_ candidate: SampledToken.Candidate) -> Float {
                let count = counts[candidate.id, default: 0]
                return candidate.logprob - (count > 0 ? 0.7 + 0.3 * count : 0)
            }
            let best = try #require(token.top.max { score($0) < score($1) })
            #expect(
                token.id == best.id
                    || abs(score(best) - score(.init(id: token.id, logprob: token.logprob))) < 1e-4)
            if token.rank > 1 { changed += 1 }
            counts[token.id, default: 0] += 1
        }
        #expect(changed > 0)
        await engine.shutDown(drainSeconds: 0)
    }

    @Test func `a strong penalty lets no token come twice`() async throws {
        let engine = try model.makeEngine()
        var penalties = SamplingPenalties()
        penalties.presence = 100
        let sampling = try SamplingParameters(maxNewTokens: 40, ignoresEnd: true, penalties: penalties)
        let answer = try await tokens(engine.submit(prompt, images: [], sampling: sampling)).map(\.id)
        #expect(Set(answer).count == 40)
        await engine.shutDown(drainSeconds: 0)
    }

    @Test func `an end that grows likelier comes`() async throws {
        let engine = try model.makeEngine()
        var penalties = SamplingPenalties()
        penalties.lengthDecay = LengthDecay(start: 12, factor: 1e6)
        let sampling = try SamplingParameters(maxNewTokens: 200, penalties: penalties)
        let count = try await tokens(engine.submit(prompt, images: [], sampling: sampling)).count
        #expect(count <= 14)
        let plain = try SamplingParameters(maxNewTokens: 40)
        #expect(try await tokens(engine.submit(prompt, images: [], sampling: plain)).count == 40)
        await engine.shutDown(drainSeconds: 0)
    }

    @Test func `allowed, biased and stop tokens do what they say`() async throws {
        let engine = try model.makeEngine()
        func ask(_ rules: TokenRules, temperature: Double = 0) async throws -> [Int32] {
            let sampling = try SamplingParameters(
                temperature: temperature, seed: 3, maxNewTokens: 12, ignoresEnd: true, rules: rules)
            return try await tokens(engine.submit(prompt, images: [], sampling: sampling)).map(\.id)
        }
        let plain = try await ask(TokenRules())
        #expect(Set(try await ask(TokenRules(allowedIDs: [9, 7, 400]), temperature: 5)) == [7, 9, 400])
        #expect(try await ask(TokenRules(biases: [77: 100])) == Array(repeating: 77, count: 12))
        #expect(try await ask(TokenRules(biases: [Int(plain[0]): -100])).first != plain[0])
        let stop = try #require(plain.firstIndex(of: plain[3]))
        #expect(try await ask(TokenRules(stopIDs: [Int(plain[3])])) == Array(plain[..<stop]))
        let sequence = [Int(plain[2]), Int(plain[3])]
        #expect(try await ask(TokenRules(stopSequences: [sequence])).suffix(2).elementsEqual(plain[2...3]))
        await engine.shutDown(drainSeconds: 0)
    }

    @Test func `ids beyond the vocabulary are refused by name`() async throws {
        let engine = try model.makeEngine()
        let beyond = engine.limits.vocabularyCount
        func sampling(_ rules: TokenRules, least: Int = 0) throws -> SamplingParameters {
            try SamplingParameters(maxNewTokens: 4, minNewTokens: least, rules: rules)
        }
        #expect(refused(engine, try sampling(TokenRules(allowedIDs: [1, beyond]))) == "allowed_token_ids")
        #expect(refused(engine, try sampling(TokenRules(biases: [beyond: 1]))) == "logit_bias")
        #expect(refused(engine, try sampling(TokenRules(stopIDs: [beyond]), least: 1)) == "stop_token_ids")
        #expect(refused(engine, try sampling(TokenRules(stopSequences: [[1, beyond]]))) == "stop_sequences")
        #expect(
            refused(engine, try sampling(TokenRules(allowedIDs: [687, 689]), least: 1)) == "allowed_token_ids"
        )
        #expect(refused(engine, try sampling(TokenRules(stopIDs: [beyond - 1]), least: 1)) == nil)
        await engine.shutDown(drainSeconds: 0)
    }

    @Test func `several answers draw by their own seeds and compute the prompt once`() async throws {
        let engine = try model.makeEngine()
        func sampling(_ seed: UInt64) throws -> SamplingParameters {
            try SamplingParameters(temperature: 1.5, seed: seed, maxNewTokens: 16, ignoresEnd: true)
        }
        var alone: [[Int32]] = []
        for seed in UInt64(11)..<15 {
            alone.append(
                try await tokens(engine.submit(prompt, images: [], sampling: sampling(seed))).map(\.id))
        }
        #expect(Set(alone).count == 4)
        let streams = try engine.submit(prompt, images: [], sampling: sampling(11), count: 4)
        var together: [[Int32]] = []
        var found: [Int] = []
        for stream in streams {
            let answer = try await Answer(stream)
            together.append(answer.tokens)
            found.append(answer.found.tokenCount)
        }
        #expect(together == alone)
        #expect(found.dropFirst().allSatisfy { $0 == 32 }, "two pages of sixteen tokens of the forty")
        #expect(engine.statistics().usedPages == 0)
        await engine.shutDown(drainSeconds: 0)
    }

    @Test func `many groups pass through few places, and a group that is too large is refused`() async throws
    {
        let engine = try model.makeEngine {
            $0.runningRequests = 3
            $0.queuedRequests = 61
        }
        let sampling = try SamplingParameters(temperature: 1, maxNewTokens: 3, ignoresEnd: true)
        var streams: [TokenStream] = []
        for _ in 0..<8 { streams += try engine.submit(prompt, images: [], sampling: sampling, count: 8) }
        #expect(throws: AdmissionError.queueFull) {
            try engine.submit(prompt, images: [], sampling: sampling, count: 2)
        }
        #expect(throws: AdmissionError.sampling(SamplingError("n", "must be at most 64"))) {
            try engine.submit(prompt, images: [], sampling: sampling, count: 65)
        }
        for stream in streams { #expect(try await tokens(stream).count == 3) }
        #expect(engine.statistics().requestsFinished == 64)
        await engine.shutDown(drainSeconds: 0)
    }

    @Test func `the prompt's log-probabilities are those the tokens were chosen by`() async throws {
        let engine = try model.makeEngine()
        let plain = try SamplingParameters(maxNewTokens: 100, ignoresEnd: true, topLogprobCount: 3)
        let answer = try await tokens(engine.submit(prompt, images: [], sampling: plain))
        let whole = PreparedPrompt(tokenIDs: prompt.tokenIDs + answer.map(\.id))
        let report = try SamplingParameters(maxNewTokens: 1, promptLogprobCount: 3)
        // Twice: kept pages are not used, and are no harm.
        for _ in 0..<2 {
            let streams = try engine.submit(whole, images: [], sampling: report, count: 2)
            let told = try await Answer(streams[0]).prompt
            #expect(told.map(\.place) == Array(1..<whole.tokenIDs.count))
            for (token, told) in zip(answer, told.suffix(100).map(\.sampled)) {
                #expect(told.id == token.id && told.rank == 1 && abs(told.logprob - token.logprob) < 1e-3)
                #expect(told.top.map(\.id) == token.top.map(\.id))
            }
            #expect(try await Answer(streams[1]).prompt.isEmpty)
        }
        await engine.shutDown(drainSeconds: 0)
    }

    @Test func `image tokens have no log-probabilities`() async throws {
        let engine = try model.makeEngine()
        let golden = try #require(GoldenFile.of("internvl-qwen2-hf").cases.first { $0.name == "one-tile" })
        let prompt = try model.prompt(of: golden)
        let images = try model.images(of: golden).map { ImageSource(picture: $0.picture) }
        let report = try SamplingParameters(maxNewTokens: 1, promptLogprobCount: 0)
        let told = try await Answer(engine.submit(prompt, images: images, sampling: report)).prompt
        let pictures = prompt.images.flatMap(\.range)
        #expect(told.map(\.place) == (1..<prompt.tokenIDs.count).filter { !pictures.contains($0) })
        await engine.shutDown(drainSeconds: 0)
    }
}
