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
            try ModelRoutes.check(request.model, served: modelName)
            let generations = try await service.beginAll(request.generation)
            exchange.record.begin(promptTokenCount: generations[0].promptTokenCount)
            let head = ChatResponseHead(
                id: "chatcmpl-\(RandomHex.word())\(RandomHex.word())", created: WallClock.seconds,
                model: modelName,
                topLogprobCount: request.topLogprobCount)
            if request.streams {
                let events = ChatEvents(
                    chunks: ChatChunks(head: head, generation: generations[0]), count: generations.count,
                    includesUsage: request.includesUsage)
                return exchange.stream(generations, as: events, holding: slot)
            }
            let pieces = try await exchange.collect(generations)
            return Reply(ChatResponse(head, generations, pieces).json())
        }
    }
}

/// The events of a streamed chat completion.
private struct ChatEvents: AnswerEvents {
    static let dialect = Dialect.openAI
    let chunks: ChatChunks
    let includesUsage: Bool
    private let count: Int
    private var tokenCount = 0

    /// The events of `count` choices.
    init(chunks: ChatChunks, count: Int, includesUsage: Bool) {
        self.chunks = chunks
        self.count = count
        self.includesUsage = includesUsage
    }

    func opening() -> [[UInt8]] { (0..<count).map(chunks.opening) }

    mutating func events(_ piece: GenerationPiece, of index: Int) -> [[UInt8]] {
        if piece.token != nil { tokenCount += 1 }
        return chunks.events(piece, of: index)
    }

    func closing() -> [[UInt8]] { includesUsage ? [chunks.usage(tokenCount: tokenCount)] : [] }
}
