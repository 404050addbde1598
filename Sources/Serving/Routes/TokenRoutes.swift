import HTTPTypes
import JSON

/// LightLLM's `/tokens`: how many tokens a prompt has, those of its pictures among them.
struct TokenRoutes: Sendable {
    let service: ChatService
    let gate: RequestGate

    /// The routes.
    var routes: [Route] { [Route(name: .tokens, methods: [.get, .post], handler: count)] }

    @Sendable private func count(_ exchange: Exchange) async throws -> Reply {
        try await gate.admit(exchange, fields: TokensRequest.fields) { json, _ in
            let count = try await service.countTokens(try TokensRequest(json).generation)
            return Reply(JSONWriter.bytes { $0.object { $0.member("ntokens", count) } })
        }
    }
}
