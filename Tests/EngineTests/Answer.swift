import Engine
import Images
import Prompts
import Scheduling
import Tensors
import TestSupport

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
    init(of golden: GoldenCase, _ model: TestModel, _ engine: Engine, topLogprobCount: Int = 0) async throws {
        let sampling = try SamplingParameters(
            maxNewTokens: golden.greedyIds.count, ignoresEnd: true, topLogprobCount: topLogprobCount)
        try await self.init(
            engine.submit(
                try model.prompt(of: golden),
                images: try model.images(of: golden).map { ImageSource(tiles: $0.tiles) },
                sampling: sampling))
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
