import JSON
import Jinja
import Prompts

/// The body of `/v1/chat/completions`.
struct ChatRequest: Sendable {
    var generation: GenerationRequest
    /// The model's name as the client gave it.
    var model: String?
    var streams = false
    /// Whether a stream ends with an event of token counts.
    var includesUsage = false
    /// How many alternatives are reported with a token; nil for no log-probabilities at all.
    var topLogprobCount: Int?

    /// The names that errors may repeat.
    static let fields: Set<String> = [
        "messages", "model", "stop", "tools", "user", "stream", "stream_options", "response_format",
    ]

    private static let params = ParameterNames(
        prompt: "messages", images: "messages",
        sampling: ParameterNames.openAISampling)

    /// Reads and checks a body.
    init(_ body: JSONValue, defaults: SamplingDefaults) throws(ServingError) {
        let fields = try JSONFields(body, name: "")
        model = try fields.string("model")
        let messages = try ChatMessages(fields)
        let variables = try Self.variables(fields)
        generation = GenerationRequest(
            prompt: .conversation(Conversation(messages: messages.messages, variables: variables)),
            params: Self.params)
        generation.images = messages.images
        generation.sampling = try fields.samplingOfOpenAI(defaults: defaults)
        generation.answerCount = try Self.answerCount(fields)
        try readLogprobs(fields)
        try Self.refuseUnsupported(fields)
        generation.stops = try fields.stops("stop")
        generation.skipsSpecialTokens = try fields.bool("skip_special_tokens") ?? true
        if try fields.bool("include_stop_str_in_output") ?? false { generation.stopTreatment = .keep }
        streams = try fields.bool("stream") ?? false
        includesUsage = try fields.fields("stream_options")?.bool("include_usage") ?? false
    }

    /// `tools` and the switches of thinking, for the template.
    private static func variables(_ fields: JSONFields) throws(ServingError) -> [(String, Value)] {
        var variables: [(String, Value)] = []
        let tools = try fields.array("tools") ?? []
        for tool in tools { _ = try JSONFields(tool, name: "tools") }
        var usesTools = true
        switch fields["tool_choice"] {
        case nil, .string("auto"): break
        case .string("none"): usesTools = false
        default: throw fields.error("tool_choice", "other than \"auto\" and \"none\" is not supported yet")
        }
        if usesTools, !tools.isEmpty { variables.append(("tools", .array(tools.map(\.templateValue)))) }
        if let arguments = try fields.fields("chat_template_kwargs") {
            for (name, value) in arguments.object.members {
                guard ["enable_thinking", "thinking"].contains(name), case .bool(let flag) = value else {
                    throw fields.error(
                        "chat_template_kwargs", "may have enable_thinking and thinking, true or false")
                }
                variables.append((name, .bool(flag)))
            }
        }
        return variables
    }

    /// `n`, which `best_of` may repeat.
    static func answerCount(_ fields: JSONFields) throws(ServingError) -> Int {
        let count = try fields.answerCount("n") ?? 1
        guard try fields.answerCount("best_of") ?? count == count else {
            throw fields.error("best_of", "must be equal to n")
        }
        return count
    }

    private mutating func readLogprobs(_ fields: JSONFields) throws(ServingError) {
        let isWanted = try fields.bool("logprobs") ?? false
        let count = try fields.int("top_logprobs")
        if let count {
            guard (0...20).contains(count) else { throw fields.error("top_logprobs", "must be from 0 to 20") }
            guard isWanted || count == 0 else {
                throw fields.error("top_logprobs", "needs logprobs to be true")
            }
        }
        guard isWanted else { return }
        topLogprobCount = count ?? 0
        generation.sampling.topLogprobCount = count ?? 0
    }

    private static func refuseUnsupported(_ fields: JSONFields) throws(ServingError) {
        try fields.refuseUnsupportedOfOpenAI()
        switch fields["function_call"] {
        case nil, .string("none"), .string("auto"): break
        default: throw fields.unsupported("function_call")
        }
        try fields.refuse([
            "functions", "audio", "chat_template", "continue_final_message", "echo", "role_settings",
            "character_settings",
        ])
    }
}
