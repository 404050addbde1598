import JSON

/// What both APIs read in the same way.
extension JSONFields {
    /// The texts that end an answer: a string or several, each of 1 to 256 bytes, at most 10.
    func stops(_ name: String) throws(ServingError) -> [[UInt8]] {
        let (texts, sequences) = try stopSequences(name)
        guard sequences.isEmpty else { throw error(name, "must be a string or an array of strings") }
        return texts
    }

    /// What ends an answer: texts, as for `stops`, or lists of token ids; not both.
    func stopSequences(_ name: String) throws(ServingError) -> (texts: [[UInt8]], sequences: [[Int]]) {
        let values: [JSONValue]
        switch self[name] {
        case nil: return ([], [])
        case .string(let text): values = [.string(text)]
        case .array(let array): values = array
        default: throw error(name, "must be a string or an array of strings")
        }
        guard values.count <= 10 else { throw error(name, "may have at most 10 entries") }
        var texts: [[UInt8]] = []
        var sequences: [[Int]] = []
        for value in values {
            switch value {
            case .string(let text):
                guard (1...256).contains(text.utf8.count) else {
                    throw error(name, "must be strings of 1 to 256 bytes")
                }
                texts.append(Array(text.utf8))
            case .array(let elements):
                let ids = elements.compactMap(\.int)
                guard ids.count == elements.count else {
                    throw error(name, "must have token ids in its arrays")
                }
                sequences.append(ids)
            default: throw error(name, "must be a string or an array of strings")
            }
        }
        guard texts.isEmpty || sequences.isEmpty else {
            throw error(name, "must be either strings or arrays of token ids")
        }
        return (texts, sequences)
    }

    /// −1 for none, or a number that decides the draws.
    func seed() throws(ServingError) -> UInt64? {
        guard let seed = try int("seed"), seed != -1 else { return nil }
        guard seed >= 0 else { throw error("seed", "must be -1 (none) or from 0 to 2^63 - 1") }
        return UInt64(seed)
    }

    /// −1 for all, or how many of the likeliest tokens are kept.
    func topK(default value: Int?) throws(ServingError) -> Int {
        guard let topK = try int("top_k") else { return value ?? -1 }
        guard topK == -1 || (1...Int(Int32.max)).contains(topK) else {
            throw error("top_k", "must be -1 (all) or from 1 to 2^31 - 1")
        }
        return topK
    }

    /// The cap on a picture's tiles; none when it is zero or below.
    func maxTiles() throws(ServingError) -> Int? {
        guard let cap = try int("image_max_patch_num"), cap > 0 else { return nil }
        guard cap <= 256 else { throw error("image_max_patch_num", "must be at most 256") }
        return cap
    }
}

/// What OpenAI's two APIs read in the same way.
extension JSONFields {
    /// How tokens are chosen, without log-probabilities.
    func samplingOfOpenAI(defaults: SamplingDefaults) throws(ServingError) -> SamplingChoice {
        var choice = SamplingChoice()
        choice.temperature = try double("temperature") ?? defaults.temperature ?? 1
        guard (0...100).contains(choice.temperature) else {
            throw error("temperature", "must be from 0 to 100")
        }
        choice.topP = try double("top_p") ?? defaults.topP ?? 1
        guard choice.topP > 0, choice.topP <= 1 else { throw error("top_p", "must be above 0 and at most 1") }
        choice.topK = try topK(default: defaults.topK)
        if try bool("do_sample") == false { choice.temperature = 0 }
        choice.seed = try seed()
        for name in ["max_tokens", "max_completion_tokens"] {
            guard let count = try int(name) else { continue }
            guard count >= 1 else { throw error(name, "must be at least 1") }
            choice.maxNewTokens = count
        }
        choice.minNewTokens = try int("min_tokens") ?? 0
        choice.ignoresEnd = try bool("ignore_eos") ?? false
        try readRules(into: &choice, defaults: defaults)
        return choice
    }

    /// Throws when something is asked for that neither of them does yet.
    func refuseUnsupportedOfOpenAI() throws(ServingError) {
        if let format = try fields("response_format"), try format.string("type") != "text" {
            throw error("response_format", "other than text is not supported yet")
        }
        try refuse([
            "guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs",
            "prompt_logprobs",
        ])
    }
}

extension ParameterNames {
    /// What OpenAI calls sampling parameters that LightLLM calls otherwise.
    static let openAISampling = ["max_new_tokens": "max_tokens", "min_new_tokens": "min_tokens"]
}
