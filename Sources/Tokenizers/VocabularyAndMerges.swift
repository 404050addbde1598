import JSON

/// Byte-level BPE from `vocab.json` and `merges.txt`, as older checkpoints store it: rewritten as a `tokenizer.json`.
///
/// The two files say nothing of how text is cut; the `tokenizer_class` of tokenizer_config.json does.
enum VocabularyAndMerges {
    /// The `tokenizer.json` for both files and a tokenizer of `tokenizerClass`.
    static func json(
        vocabulary: [UInt8], merges: [UInt8], tokenizerClass: String, addedTokens: [AddedToken],
    ) throws(TokenizerError) -> [UInt8] {
        // Only checked here: it is written as it came.
        guard let tree = try? JSONValue(reading: vocabulary), tree.object != nil else {
            throw TokenizerError("it is not a JSON object").inFile("vocab.json")
        }
        guard let pipeline = pipeline(of: tokenizerClass) else {
            throw TokenizerError(
                "with vocab.json and merges.txt only GPT2Tokenizer and Qwen2Tokenizer are known; "
                    + "save a tokenizer.json beside them"
            ).inFile("tokenizer_config.json")
        }
        let added = JSONWriter.bytes { json in
            json.array { json in for token in addedTokens { write(token, &json) } }
        }
        let lines = JSONWriter.bytes { json in
            json.array { json in
                for line in merges.split(separator: UInt8(ascii: "\n")) {
                    let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
                    if line.isEmpty || line.starts(with: "#version".utf8) { continue }
                    json.string(utf8: Array(line))
                }
            }
        }
        var text = Array("{\"added_tokens\":".utf8) + added
        text += ",\(pipeline),\"post_processor\":null,\"decoder\":\(byteLevel(usesRegex: true))".utf8
        text += ",\"model\":{\"type\":\"BPE\",\"vocab\":".utf8 + vocabulary
        return text + ",\"merges\":".utf8 + lines + "}}".utf8
    }

    /// The normalizer and pre-tokenizer of a class of transformers, with or without "Fast".
    private static func pipeline(of tokenizerClass: String) -> String? {
        switch tokenizerClass {
        case "GPT2Tokenizer", "GPT2TokenizerFast":
            return "\"normalizer\":null,\"pre_tokenizer\":\(byteLevel(usesRegex: true))"
        case "Qwen2Tokenizer", "Qwen2TokenizerFast":
            let pattern = String(decoding: JSONWriter.bytes { $0.string(qwen2Pattern) }, as: UTF8.self)
            let split =
                "{\"type\":\"Split\",\"pattern\":{\"Regex\":\(pattern)},\"behavior\":\"Isolated\",\"invert\":false}"
            return "\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"Sequence\","
                + "\"pretokenizers\":[\(split),\(byteLevel(usesRegex: false))]}"
        default:
            return nil
        }
    }

    private static let qwen2Pattern =
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

    private static func byteLevel(usesRegex: Bool) -> String {
        "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":false,\"use_regex\":\(usesRegex)}"
    }

    private static func write(_ token: AddedToken, _ json: inout JSONWriter) {
        json.object { json in
            json.member("id", token.id)
            json.member("content", token.content)
            json.member("single_word", token.isSingleWord)
            json.member("lstrip", token.stripsLeft)
            json.member("rstrip", token.stripsRight)
            json.member("normalized", token.isNormalized)
            json.member("special", token.isSpecial)
        }
    }
}
