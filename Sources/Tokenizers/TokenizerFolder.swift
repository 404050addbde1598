import JSON

/// Finds a checkpoint's tokenizer among its files.
package enum TokenizerFolder {
    /// The files a tokenizer is made of, the first that exists counting.
    package static let fileNames = ["tokenizer.json", "tokenizer.model", "vocab.json", "qwen.tiktoken"]

    /// Makes the tokenizer of the files that `read` gives, by name; nil if none of `fileNames` exists.
    package static func load(_ read: (String) throws -> [UInt8]?) throws -> Tokenizer? {
        if let json = try read("tokenizer.json") { return try Tokenizer(json: json) }
        if let model = try read("tokenizer.model") {
            let config = try TokenizerConfig(read)
            return try Tokenizer(
                sentencePiece: model, addedTokens: config.addedTokens, options: config.options)
        }
        if let vocabulary = try read("vocab.json") {
            guard let merges = try read("merges.txt") else {
                throw TokenizerError("merges.txt is missing beside it").inFile("vocab.json")
            }
            let config = try TokenizerConfig(read)
            return try Tokenizer(
                json: VocabularyAndMerges.json(
                    vocabulary: vocabulary, merges: merges, tokenizerClass: config.tokenizerClass,
                    addedTokens: config.addedTokens))
        }
        if let ranks = try read("qwen.tiktoken") {
            let config = try read("config.json").flatMap { try? JSONValue(reading: $0) }
            let isForText = config.map { $0["visual"].isNull } ?? false
            return try Tokenizer(
                tiktoken: ranks, specialTokens: isForText ? QwenTokens.text : QwenTokens.all)
        }
        return nil
    }
}
