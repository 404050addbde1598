/// A Hugging Face `tokenizer.json` of the byte-level BPE kind: text to token ids and back.
///
/// A copy costs a reference. Encoding works on UTF-8 bytes from end to end, takes time near linear in the
/// text's length, and may run on many threads at once.
package struct Tokenizer: Sendable {
    private let pipeline: EncodingPipeline

    /// Reads the bytes of a `tokenizer.json`.
    package init(json: [UInt8]) throws(TokenizerError) {
        pipeline = EncodingPipeline(try TokenizerFile(json))
    }

    /// The number of ids: the greatest id and 1.
    package var vocabularyCount: Int { pipeline.model.vocabulary.count }

    /// The tokens that are found in the text itself.
    package var addedTokens: [AddedToken] { pipeline.addedTokens }

    /// The token ids of a text.
    ///
    /// Without `parseSpecialTokens`, text that spells a special token stays plain text; user input wants that.
    package func encode(
        _ text: String, addSpecialTokens: Bool = false, parseSpecialTokens: Bool = true
    ) -> [Int32] {
        pipeline.encode(
            Array(text.utf8), addSpecialTokens: addSpecialTokens, parseSpecialTokens: parseSpecialTokens)
    }

    /// The id of a token, spelled as in the vocabulary.
    package func id(of token: String) -> Int32? {
        var bytes = Array(token.utf8)
        let isLiteral = !ByteAlphabet.decode(&bytes, with: ByteAlphabet.bytes)
        return pipeline.model.vocabulary.id(of: bytes.span, 0..<bytes.count, isLiteral: isLiteral)
    }

    /// The bytes that a token stands for in output; nil for an unknown id.
    package func bytes(of id: Int32) -> [UInt8]? {
        pipeline.bytes(of: id).map { Array($0) }
    }

    /// Whether an id is of a control token.
    package func isSpecial(_ id: Int32) -> Bool { pipeline.specialIDs.contains(id) }

    /// The text of token ids; unknown ids are passed over, and ill-formed UTF-8 becomes U+FFFD.
    package func decode(_ ids: [Int32], skipSpecialTokens: Bool) -> String {
        var repair = UTF8Repair()
        var output: [UInt8] = []
        for id in ids {
            forEachByte(of: id, skipSpecialTokens: skipSpecialTokens) { repair.append($0, to: &output) }
        }
        repair.finish(&output)
        return String(decoding: output, as: UTF8.self)
    }

    /// Calls `body` with each byte that a token stands for.
    func forEachByte(of id: Int32, skipSpecialTokens: Bool, _ body: (UInt8) -> Void) {
        guard !(skipSpecialTokens && isSpecial(id)), let bytes = pipeline.bytes(of: id) else { return }
        for byte in bytes { body(byte) }
    }
}
