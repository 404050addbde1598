import HTTPTypes
import Hummingbird

/// OpenAI's API: `/v1/chat/completions`.
struct ChatRoutes: Sendable {
    let service: ChatService
    let gate: RequestGate
    let defaults: SamplingDefaults
    let modelName: String

    /// The routes.
    var routes: [Route] { [.post(.chatCompletions, answer)] }

    @Sendable private func answer(_ exchange: Exchange) async throws -> Reply {
        try await gate.admit(exchange, fields: ChatRequest.fields) { json, slot in
            let request = try ChatRequest(json, defaults: defaults)
            // "default" is the name LightLLM gives to a model that has none.
            if let model = request.model, model != modelName, model != "default" {
                throw ServingError.unknownModel
            }
            let generation = try await service.begin(request.generation)
            exchange.record.begin(promptTokenCount: generation.promptTokenCount)
            let head = ChatResponseHead(
                id: "chatcmpl-\(RandomHex.word())\(RandomHex.word())", created: WallClock.seconds,
                model: modelName,
                topLogprobCount: request.topLogprobCount)
            if request.streams {
                let chunks = ChatChunks(head: head, generation: generation)
                return exchange.stream(
                    generation, as: ChatEvents(chunks: chunks, includesUsage: request.includesUsage),
                    holding: slot)
            }
            var response = ChatResponse(head, generation)
            try await exchange.collect(generation) { response.append($0) }
            return Reply(response.json())
        }
    }
}

/// The events of a streamed chat completion.
private struct ChatEvents: AnswerEvents {
    static let dialect = Dialect.openAI
    let chunks: ChatChunks
    let includesUsage: Bool
    private var tokenCount = 0

    init(chunks: ChatChunks, includesUsage: Bool) {
        self.chunks = chunks
        self.includesUsage = includesUsage
    }

    func opening() -> [[UInt8]] { [chunks.opening()] }

    mutating func events(_ piece: GenerationPiece) -> [[UInt8]] {
        if let token = piece.token { tokenCount = token.number }
        return chunks.events(piece)
    }

    func closing() -> [[UInt8]] { includesUsage ? [chunks.usage(tokenCount: tokenCount)] : [] }
}
