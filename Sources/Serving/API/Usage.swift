import JSON

/// How many tokens an answer took, or several answers together.
struct Usage: Sendable, Hashable {
    /// Tokens of prompts, those of pictures among them.
    var promptTokenCount = 0
    /// Tokens of prompts that were not computed again.
    var cachedTokenCount = 0
    /// Tokens of pictures.
    var imageTokenCount = 0
    /// Tokens of answers.
    var answerTokenCount = 0

    /// Adds an answer of `tokenCount` tokens.
    mutating func add(_ generation: Generation, tokenCount: Int) {
        promptTokenCount += generation.promptTokenCount
        cachedTokenCount += generation.cachedTokenCount
        imageTokenCount += generation.imageTokenCount
        answerTokenCount += tokenCount
    }
}

extension JSONWriter {
    /// `"usage":{…}` of one answer.
    mutating func writeUsage(_ generation: Generation, tokenCount: Int) {
        var usage = Usage()
        usage.add(generation, tokenCount: tokenCount)
        write(usage)
    }

    /// `"usage":{…}`.
    mutating func write(_ usage: Usage) {
        object("usage") { json in
            json.member("prompt_tokens", usage.promptTokenCount)
            json.member("completion_tokens", usage.answerTokenCount)
            json.member("total_tokens", usage.promptTokenCount + usage.answerTokenCount)
            json.object("prompt_tokens_details") { json in
                json.member("cached_tokens", usage.cachedTokenCount)
                json.member("audio_tokens", 0)
                json.member("image_tokens", usage.imageTokenCount)
            }
        }
    }
}
