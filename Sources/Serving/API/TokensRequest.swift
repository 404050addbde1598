import JSON

/// The body of `/tokens`: `text`, `parameters` and `multimodal_params`, as in `/generate`.
struct TokensRequest: Sendable {
    let generation: GenerationRequest

    /// The names that errors may repeat.
    static let fields: Set<String> = ["text", "parameters", "multimodal_params"]

    /// The longest text that is counted, in bytes.
    static let maxByteCount = 1 << 20

    /// Reads and checks a body.
    init(_ body: JSONValue) throws(ServingError) {
        let fields = try JSONFields(body, name: "")
        guard let text = try fields.string("text") else { throw fields.error("text", "is required") }
        guard !text.isEmpty else { throw fields.error("text", "is empty") }
        guard text.utf8.count <= Self.maxByteCount else {
            throw fields.error("text", "may have at most \(Self.maxByteCount) bytes")
        }
        let parameters = try fields.fields("parameters")
        let params = ParameterNames(prompt: "text", images: "multimodal_params.images", sampling: [:])
        let addSpecialTokens = try parameters?.bool("add_special_tokens") ?? true
        var generation = GenerationRequest(
            prompt: .text(text, addSpecialTokens: addSpecialTokens), params: params)
        generation.images = try GenerateRequest.images(fields, takesSizes: true)
        generation.maxTiles = try parameters?.maxTiles()
        self.generation = generation
    }
}
