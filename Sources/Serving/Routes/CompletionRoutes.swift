import HTTPTypes
import Hummingbird
import Prompts
import Tokenizers

/// OpenAI's older API: `/v1/completions`, for prompts of text alone.
struct CompletionRoutes: Sendable {
    let service: ChatService
    let gate: RequestGate
    let defaults: SamplingDefaults
    let modelName: String

    /// The routes.
    var routes: [Route] { [.post(.completions, answer)] }

    @Sendable private func answer(_ exchange: Exchange) async throws -> Reply {
        try await gate.admit(exchange, fields: CompletionRequest.fields) { json, slot in
            let request = try CompletionRequest(json, defaults: defaults)
            try ModelRoutes.check(request.model, served: modelName)
            let head = CompletionHead(
                id: "cmpl-\(RandomHex.word())\(RandomHex.word())", created: WallClock.seconds,
                model: modelName)
            if request.streams, let only = request.generations.first {
                return try await stream(only, of: request, head, exchange, holding: slot)
            }
            return Reply(CompletionChoice.json(try await choices(request, exchange), head))
        }
    }

    private func stream(
        _ generationRequest: GenerationRequest, of request: CompletionRequest, _ head: CompletionHead,
        _ exchange: Exchange, holding slot: RequestSlot,
    ) async throws -> Reply {
        let generations = try await begin(generationRequest, exchange)
        let echo = request.echoes ? text(of: generationRequest.prompt) : ""
        let logprobs = generations.map { generation in
            CompletionLogprobs(
                topCount: request.topLogprobCount, generationRequest, generation,
                offset: echo.unicodeScalars.count)
        }
        let events = CompletionEvents(
            chunks: CompletionChunks(head, generations[0], logprobs: logprobs), echo: echo,
            includesUsage: request.includesUsage)
        return exchange.stream(generations, as: events, holding: slot)
    }

    /// Answers all prompts at once; the first failure ends all the work.
    private func choices(_ request: CompletionRequest, _ exchange: Exchange) async throws
        -> [[CompletionChoice]]
    {
        try await withThrowingTaskGroup(of: (Int, [CompletionChoice]).self) { group in
            for (index, each) in request.generations.enumerated() {
                group.addTask { (index, try await choices(each, of: request, exchange)) }
            }
            var all = [[CompletionChoice]](repeating: [], count: request.generations.count)
            for try await (index, choices) in group { all[index] = choices }
            return all
        }
    }

    /// Answers one prompt.
    private func choices(
        _ generationRequest: GenerationRequest, of request: CompletionRequest, _ exchange: Exchange,
    ) async throws -> [CompletionChoice] {
        let generations = try await begin(generationRequest, exchange)
        let echo = request.echoes ? text(of: generationRequest.prompt) : ""
        let pieces = try await exchange.collect(generations)
        return zip(generations, pieces).map { generation, pieces in
            let logprobs = CompletionLogprobs(
                topCount: request.topLogprobCount, generationRequest, generation,
                offset: echo.unicodeScalars.count)
            return CompletionChoice(
                generation, echo: echo, logprobs: logprobs, pieces,
                prompt: request.echoes && request.topLogprobCount != nil ? generations[0] : nil)
        }
    }

    private func begin(_ request: GenerationRequest, _ exchange: Exchange) async throws -> [Generation] {
        let generations = try await service.beginAll(request)
        exchange.record.begin(promptTokenCount: generations[0].promptTokenCount)
        return generations
    }

    /// A prompt as text; its ids are in the vocabulary once the engine has taken them.
    private func text(of prompt: GenerationRequest.Prompt) -> String {
        switch prompt {
        case .text(let text, _): text
        case .tokenIDs(let ids):
            service.prompts.tokenizer.decode(ids.compactMap { Int32(exactly: $0) }, skipSpecialTokens: false)
        case .conversation: ""
        }
    }
}

/// The events of a streamed completion.
private struct CompletionEvents: AnswerEvents {
    static let dialect = Dialect.openAI
    private var chunks: CompletionChunks
    private let echo: String
    private let includesUsage: Bool
    private var tokenCount = 0

    init(chunks: CompletionChunks, echo: String, includesUsage: Bool) {
        self.chunks = chunks
        self.echo = echo
        self.includesUsage = includesUsage
    }

    func opening() -> [[UInt8]] { echo.isEmpty ? [] : chunks.echo(echo) }

    mutating func events(_ piece: GenerationPiece, of index: Int) -> [[UInt8]] {
        if piece.token != nil { tokenCount += 1 }
        return [chunks.event(piece, of: index)].compactMap(\.self)
    }

    func closing() -> [[UInt8]] { includesUsage ? [chunks.usage(tokenCount: tokenCount)] : [] }
}
