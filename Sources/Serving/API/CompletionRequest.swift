import JSON

/// The body of `/v1/completions`.
struct CompletionRequest: Sendable {
    /// One for each prompt.
    let generations: [GenerationRequest]
    /// The model's name as the client gave it.
    let model: String?
    let streams: Bool
    /// Whether a stream ends with an event of token counts.
    let includesUsage: Bool
    /// Whether the text begins with the prompt.
    let echoes: Bool
    /// How many alternatives are reported with a token; nil for no log-probabilities at all.
    let topLogprobCount: Int?

    /// The most prompts of a request.
    static let maxPrompts = 8

    /// The names that errors may repeat.
    static let fields: Set<String> = [
        "prompt", "model", "stop", "suffix", "user", "stream", "stream_options",
    ]

    /// Reads and checks a body.
    init(_ body: JSONValue, defaults: SamplingDefaults) throws(ServingError) {
        let fields = try JSONFields(body, name: "")
        model = try fields.string("model")
        streams = try fields.bool("stream") ?? false
        includesUsage = try fields.fields("stream_options")?.bool("include_usage") ?? false
        echoes = try fields.bool("echo") ?? false
        topLogprobCount = try Self.topLogprobCount(fields)
        try fields.refuse(["suffix"])
        let answerCount = try ChatRequest.answerCount(fields)
        try fields.refuseUnsupportedOfOpenAI()
        let addSpecialTokens = try fields.bool("add_special_tokens") ?? true
        let prompts = try Self.prompts(fields, addSpecialTokens: addSpecialTokens)
        if streams, prompts.count > 1 { throw fields.error("stream", "is not supported for several prompts") }
        if echoes, topLogprobCount != nil, streams {
            throw fields.error("echo", "together with logprobs is not supported for a stream")
        }
        var sampling = try fields.samplingOfOpenAI(defaults: defaults)
        sampling.topLogprobCount = topLogprobCount ?? 0
        if echoes { sampling.promptLogprobCount = topLogprobCount }
        let stops = try fields.stops("stop")
        let keepsStop = try fields.bool("include_stop_str_in_output") ?? false
        let skipsSpecialTokens = try fields.bool("skip_special_tokens") ?? true
        generations = prompts.enumerated().map { index, prompt in
            let params = ParameterNames(
                prompt: prompts.count == 1 ? "prompt" : "prompt[\(index)]", images: "prompt",
                sampling: ParameterNames.openAISampling)
            var generation = GenerationRequest(prompt: prompt, params: params)
            generation.sampling = sampling
            generation.answerCount = answerCount
            generation.stops = stops
            generation.stopTreatment = keepsStop ? .keep : .trim
            generation.skipsSpecialTokens = skipsSpecialTokens
            return generation
        }
    }

    private static func topLogprobCount(_ fields: JSONFields) throws(ServingError) -> Int? {
        // `false` is how some clients say none.
        if case .bool(false) = fields["logprobs"] { return nil }
        guard let count = try fields.int("logprobs") else { return nil }
        guard (0...5).contains(count) else { throw fields.error("logprobs", "must be from 0 to 5") }
        return count
    }

    /// A string, token ids, or up to eight of either.
    private static func prompts(
        _ fields: JSONFields, addSpecialTokens: Bool,
    ) throws(ServingError) -> [GenerationRequest.Prompt] {
        func prompt(_ value: JSONValue) throws(ServingError) -> GenerationRequest.Prompt {
            switch value {
            case .string(let text) where !text.isEmpty: return .text(text, addSpecialTokens: addSpecialTokens)
            case .array(let values) where !values.isEmpty:
                let ids = values.compactMap(\.int)
                if ids.count == values.count { return .tokenIDs(ids) }
            case .string, .array: throw fields.error("prompt", "is empty, or one of its elements is")
            default: break
            }
            throw fields.error("prompt", "must be a string, token ids, or an array of either")
        }
        switch fields["prompt"] {
        case nil: throw fields.error("prompt", "is required")
        case .array(let values):
            if values.isEmpty || values.first?.int != nil { return [try prompt(.array(values))] }
            guard values.count <= maxPrompts else {
                throw fields.error("prompt", "may have at most \(maxPrompts) elements that are prompts")
            }
            var prompts: [GenerationRequest.Prompt] = []
            for value in values { prompts.append(try prompt(value)) }
            return prompts
        case .some(let value): return [try prompt(value)]
        }
    }
}
