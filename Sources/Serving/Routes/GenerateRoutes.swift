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
            let generation = try await service.begin(request.generation)
            exchange.record.begin(promptTokenCount: generation.promptTokenCount)
            if streams ?? request.streams {
                return exchange.stream(generation, as: GenerateEvents(generation: generation), holding: slot)
            }
            var response = GenerateResponse(generation, returnsDetails: request.returnsDetails)
            try await exchange.collect(generation) { response.append($0) }
            return Reply(response.json())
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

    mutating func events(_ piece: GenerationPiece) -> [[UInt8]] {
        if let token = piece.token { tokenCount = token.number }
        return [NativeJSON.event(piece, tokenCount: tokenCount, generation)]
    }

    func closing() -> [[UInt8]] { [] }
}
