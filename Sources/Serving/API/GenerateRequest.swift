import JSON
import Scheduling

/// The body of `/generate` and `/generate_stream`: `inputs`, `parameters`, `multimodal_params`.
struct GenerateRequest: Sendable {
    var generation: GenerationRequest
    /// Whether the answer lists its tokens.
    var returnsDetails = false
    /// Whether the answer is to be streamed (`POST /` only).
    var streams: Bool

    /// The names that errors may repeat.
    static let fields: Set<String> = ["inputs", "parameters", "multimodal_params", "stream"]

    private static let params = ParameterNames(
        prompt: "inputs", images: "multimodal_params.images",
        sampling: Dictionary(
            uniqueKeysWithValues: [
                "temperature", "top_k", "top_p", "min_p", "max_new_tokens", "min_new_tokens", "n",
                "repetition_penalty", "presence_penalty", "frequency_penalty",
                "exponential_decay_length_penalty", "allowed_token_ids", "logit_bias", "stop_token_ids",
                "stop_sequences", "prompt_logprobs",
            ].map { ($0, "parameters.\($0)") }))

    /// Reads and checks a body.
    init(_ body: JSONValue, defaults: SamplingDefaults) throws(ServingError) {
        let fields = try JSONFields(body, name: "")
        streams = try fields.bool("stream") ?? false
        // Leaving them out is harmless, `null` is a slip.
        if let value = fields.object["parameters"], value.isNull {
            throw fields.error("parameters", "must be an object")
        }
        let empty = try JSONFields(.object(JSONObject()), name: "parameters")
        let parameters = try fields.fields("parameters") ?? empty
        let addSpecialTokens = try parameters.bool("add_special_tokens") ?? true
        let prompt = try Self.prompt(fields, addSpecialTokens: addSpecialTokens)
        generation = GenerationRequest(prompt: prompt, params: Self.params)
        generation.stopTreatment = .keep
        generation.images = try Self.images(fields)
        try readSampling(parameters, defaults: defaults)
        let stops = try parameters.stopSequences("stop_sequences")
        generation.stops = stops.texts
        try parameters.readRules(
            into: &generation.sampling, defaults: defaults, stopSequences: stops.sequences)
        generation.answerCount = try Self.answerCount(parameters)
        try Self.refuseUnsupported(parameters)
        generation.skipsSpecialTokens = try parameters.bool("skip_special_tokens") ?? true
        generation.maxTiles = try parameters.maxTiles()
        returnsDetails = try parameters.bool("return_details") ?? false
    }

    private static func prompt(
        _ fields: JSONFields, addSpecialTokens: Bool,
    ) throws(ServingError) -> GenerationRequest.Prompt {
        switch fields["inputs"] {
        case .string(let text):
            guard !text.isEmpty else { throw fields.error("inputs", "is empty") }
            return .text(text, addSpecialTokens: addSpecialTokens)
        case .array(let values):
            guard !values.isEmpty else { throw fields.error("inputs", "is empty") }
            var ids: [Int] = []
            ids.reserveCapacity(values.count)
            for value in values {
                guard let id = value.int else {
                    throw fields.error("inputs", "must be a string or token ids")
                }
                ids.append(id)
            }
            return .tokenIDs(ids)
        case nil: throw fields.error("inputs", "is required")
        default: throw fields.error("inputs", "must be a string or token ids")
        }
    }

    /// The pictures of `multimodal_params`; with `takesSizes` a size may stand for one.
    static func images(
        _ fields: JSONFields, takesSizes: Bool = false,
    ) throws(ServingError) -> [ImageReference] {
        guard let media = try fields.fields("multimodal_params") else { return [] }
        for (key, value) in media.object.members where key != "images" {
            switch value {
            case .null, .array([]): continue
            default: break
            }
            // Only names that are known are repeated.
            let name = ["audios", "videos"].contains(key) ? key : "a key other than images"
            throw .badRequest("multimodal_params: \(name) is not supported", param: "multimodal_params")
        }
        var images: [ImageReference] = []
        for (index, value) in (try media.array("images") ?? []).enumerated() {
            let name = "multimodal_params.images[\(index)]"
            let item = try JSONFields(value, name: name)
            guard let type = try item.string("type") else { throw item.error("type", "is required") }
            if takesSizes, type == "image_size" {
                let sides = (try item.array("data") ?? []).compactMap(\.int)
                guard sides.count == 2, sides.allSatisfy({ $0 > 0 }) else {
                    throw item.error("data", "must be [width, height], both above 0")
                }
                images.append(
                    ImageReference(source: .size(width: sides[0], height: sides[1]), param: name))
                continue
            }
            guard let data = try item.string("data") else { throw item.error("data", "is required") }
            switch type {
            case "url": images.append(ImageReference(source: .url(data), param: name))
            case "base64": images.append(ImageReference(source: .base64(data), param: name))
            default: throw item.error("type", "must be \"url\" or \"base64\"")
            }
        }
        return images
    }

    /// Everything is checked; with `do_sample` false the temperature and its kin are then left aside, as in
    /// LightLLM.
    private mutating func readSampling(_ fields: JSONFields, defaults: SamplingDefaults) throws(ServingError)
    {
        var choice = SamplingChoice()
        let temperature = try fields.double("temperature") ?? defaults.temperature ?? 1
        guard (0...100).contains(temperature) else {
            throw fields.error("temperature", "must be from 0 to 100")
        }
        let topP = try fields.double("top_p") ?? defaults.topP ?? 1
        guard topP > 0, topP <= 1 else { throw fields.error("top_p", "must be above 0 and at most 1") }
        let topK = try fields.topK(default: defaults.topK)
        if try fields.bool("do_sample") ?? defaults.samples ?? false {
            choice.temperature = temperature
            choice.topP = topP
            choice.topK = topK
        }
        choice.seed = try fields.seed()
        choice.maxNewTokens = try fields.int("max_new_tokens")
        if let count = choice.maxNewTokens, count < 1 {
            throw fields.error("max_new_tokens", "must be at least 1")
        }
        choice.minNewTokens = try fields.int("min_new_tokens") ?? 0
        choice.ignoresEnd = try fields.bool("ignore_eos") ?? false
        if let count = try fields.int("prompt_logprobs"), count != -1 {
            guard (0...SamplingParameters.maxTopLogprobCount).contains(count) else {
                throw fields.error("prompt_logprobs", "must be -1 (none) or from 0 to 20")
            }
            choice.promptLogprobCount = count
        }
        generation.usesPrefixCache = !(try fields.bool("disable_prompt_cache") ?? false)
        generation.sampling = choice
    }

    /// `best_of`, which `n` must repeat; a stream takes one alone.
    private static func answerCount(_ fields: JSONFields) throws(ServingError) -> Int {
        let count = try fields.answerCount("best_of") ?? 1
        guard try fields.answerCount("n") ?? count == count else {
            throw fields.error("n", "must be equal to best_of")
        }
        return count
    }

    private static func refuseUnsupported(_ fields: JSONFields) throws(ServingError) {
        try fields.refuse([
            "regular_constraint", "guided_grammar", "guided_json", "print_eos_token", "return_routed_experts",
        ])
    }
}
