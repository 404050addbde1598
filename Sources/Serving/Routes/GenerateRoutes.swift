import HTTPTypes
import Hummingbird

/// LightLLM's API: `/generate`, `/generate_stream` and `/`.
struct GenerateRoutes: Sendable {
    let service: ChatService
    let gate: RequestGate
    let defaults: SamplingDefaults

    /// The routes.
    var routes: [Route] {
        [
            .post(.generate) { try await answer($0, streams: false) },
            .post(.generateStream) { try await answer($0, streams: true) },
            .post(.root) { try await answer($0, streams: nil) },
        ]
    }

    /// Answers in one piece or as a stream; `streams` nil leaves that to the request.
    private func answer(_ exchange: Exchange, streams: Bool?) async throws -> Reply {
        try await gate.admit(exchange, fields: GenerateRequest.fields) { json, slot in
            let request = try GenerateRequest(json, defaults: defaults)
            let streams = streams ?? request.streams
            if streams, request.generation.answerCount > 1 {
                throw ServingError.badRequest(
                    "parameters.best_of must be 1 for a stream", param: "parameters.best_of")
            }
            let generations = try await service.beginAll(request.generation)
            exchange.record.begin(promptTokenCount: generations[0].promptTokenCount)
            if streams {
                return exchange.stream(
                    generations, as: GenerateEvents(generation: generations[0]), holding: slot)
            }
            let pieces = try await exchange.collect(generations)
            return Reply(
                GenerateResponse(generations, pieces, returnsDetails: request.returnsDetails).json())
        }
    }
}

/// The events of `/generate_stream`.
private struct GenerateEvents: AnswerEvents {
    static let dialect = Dialect.native
    let generation: Generation
    private var tokenCount = 0

    init(generation: Generation) { self.generation = generation }

    func opening() -> [[UInt8]] { [] }

    mutating func events(_ piece: GenerationPiece, of index: Int) -> [[UInt8]] {
        if let token = piece.token { tokenCount = token.number }
        return [NativeJSON.event(piece, tokenCount: tokenCount, generation)]
    }

    func closing() -> [[UInt8]] { [] }
}
