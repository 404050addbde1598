/// How the tokens of an answer are chosen and when it ends; every value is within its limits.
package struct SamplingParameters: Hashable, Sendable {
    /// Zero for greedy.
    package private(set) var temperature: Float = 0
    /// Keep the k likeliest tokens; zero keeps all.
    package private(set) var topK = 0
    /// Keep the likeliest tokens until their probabilities sum to p; 1 keeps all.
    package private(set) var topP: Float = 1
    /// Keep tokens at least as likely as this part of the likeliest; zero keeps all.
    package private(set) var minP: Float = 0
    /// Decides the draws; without one the engine draws a seed.
    package private(set) var seed: UInt64?
    /// The answer has at most as many tokens.
    package private(set) var maxNewTokens: Int
    /// The answer does not end by itself before it has as many tokens.
    package private(set) var minNewTokens = 0
    /// Go on after an end token.
    package private(set) var ignoresEnd = false
    /// What becomes less likely, or likelier, as the answer grows.
    package private(set) var penalties = SamplingPenalties()
    /// Which tokens may be chosen and which end the answer.
    package private(set) var rules = TokenRules()
    /// How many alternatives are reported with every token.
    package private(set) var topLogprobCount = 0
    /// How many alternatives are reported with every token of the prompt; nil for no report on the prompt.
    package private(set) var promptLogprobCount: Int?

    /// Checks every value; throws a `SamplingError` that names the first one out of range.
    ///
    /// A temperature below 10⁻⁵ is greedy, and so is `topK` 1. `topK` −1 or 0 keeps all tokens.
    package init(
        temperature: Double = 0, topK: Int = 0, topP: Double = 1, minP: Double = 0, seed: UInt64? = nil,
        maxNewTokens: Int, minNewTokens: Int = 0, ignoresEnd: Bool = false,
        penalties: SamplingPenalties = SamplingPenalties(), rules: TokenRules = TokenRules(),
        topLogprobCount: Int = 0, promptLogprobCount: Int? = nil,
    ) throws(SamplingError) {
        // The comparisons are written so that NaN fails them.
        guard temperature >= 0, temperature <= 100 else {
            throw .init("temperature", "must be from 0 to 100")
        }
        guard topK >= -1, topK <= Int(Int32.max) else {
            throw .init("top_k", "must be -1 (all) or from 1 to 2^31 - 1")
        }
        guard topP > 0, topP <= 1 else { throw .init("top_p", "must be above 0 and at most 1") }
        guard minP >= 0, minP <= 1 else { throw .init("min_p", "must be from 0 to 1") }
        try penalties.check()
        guard maxNewTokens >= 1 else { throw .init("max_new_tokens", "must be at least 1") }
        guard minNewTokens >= 0, minNewTokens <= maxNewTokens else {
            throw .init("min_new_tokens", "must be from 0 to max_new_tokens")
        }
        guard topLogprobCount >= 0, topLogprobCount <= Self.maxTopLogprobCount else {
            throw .init("top_logprobs", "must be from 0 to \(Self.maxTopLogprobCount)")
        }
        guard (0...Self.maxTopLogprobCount).contains(promptLogprobCount ?? 0) else {
            throw .init("prompt_logprobs", "must be -1 (none) or from 0 to \(Self.maxTopLogprobCount)")
        }
        let greedy = temperature < 1e-5 || topK == 1
        self.temperature = greedy ? 0 : Float(temperature)
        self.topK = max(0, topK)
        self.topP = Float(topP)
        self.minP = Float(minP)
        self.seed = seed
        self.maxNewTokens = maxNewTokens
        self.minNewTokens = minNewTokens
        self.ignoresEnd = ignoresEnd
        self.penalties = penalties
        self.rules = rules
        self.topLogprobCount = topLogprobCount
        self.promptLogprobCount = promptLogprobCount
    }

    /// The most alternatives that are reported with a token.
    package static let maxTopLogprobCount = 20

    /// Throws for what the model cannot do: ids beyond its vocabulary, or nothing but ends where none may be chosen.
    package func check(vocabularyCount: Int, endIDs: [Int32]) throws(SamplingError) {
        try rules.check(vocabularyCount: vocabularyCount)
        guard minNewTokens > 0, let allowed = rules.allowedIDs else { return }
        guard !Set(allowed).isSubset(of: endIDs + rules.stopIDs) else {
            throw .init(
                "allowed_token_ids", "must have a token that is no end while min_new_tokens is above 0")
        }
    }

    /// The same for another answer to a prompt that is reported on already.
    package func withoutPromptLogprobs() -> SamplingParameters {
        var copy = self
        copy.promptLogprobCount = nil
        return copy
    }

    /// The same with at most `count` new tokens, at least one.
    package func limited(toNewTokens count: Int) -> SamplingParameters {
        var copy = self
        copy.maxNewTokens = max(1, min(maxNewTokens, count))
        copy.minNewTokens = min(minNewTokens, copy.maxNewTokens)
        return copy
    }
}

/// A sampling parameter out of its range.
package struct SamplingError: Error, Hashable, Sendable {
    /// The parameter, by its LightLLM name.
    package let parameter: String
    /// What its value must be: "must be …".
    package let requirement: String

    /// Takes both.
    package init(_ parameter: String, _ requirement: String) {
        self.parameter = parameter
        self.requirement = requirement
    }
}
