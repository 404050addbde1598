/// A checkpoint's tokenizer, made from the file it comes in: text to token ids and back.
///
/// A copy costs a reference. Encoding works on UTF-8 bytes from end to end, takes time near linear in the
/// text's length, and may run on many threads at once.
package struct Tokenizer: Sendable {
    private let pipeline: EncodingPipeline

    /// Reads the bytes of a `tokenizer.json`.
    package init(json: [UInt8]) throws(TokenizerError) {
        pipeline = EncodingPipeline(try TokenizerParts(json: json))
    }

    /// Reads the bytes of a `tokenizer.model`, beside which other files name more tokens.
    package init(
        sentencePiece: [UInt8], addedTokens: [AddedToken] = [],
        options: SentencePieceOptions = SentencePieceOptions()
    ) throws(TokenizerError) {
        do throws(TokenizerError) {
            let file = try SentencePieceFile(sentencePiece)
            self.init(try TokenizerParts(sentencePiece: file, addedTokens: addedTokens, options: options))
        } catch {
            throw error.inFile("tokenizer.model")
        }
    }

    /// Reads the bytes of a `qwen.tiktoken`, behind whose ranks the special tokens have their ids.
    package init(tiktoken: [UInt8], specialTokens: [String]) throws(TokenizerError) {
        do throws(TokenizerError) {
            self.init(try TokenizerParts(model: try RankFile.model(tiktoken), specialTokens: specialTokens))
        } catch {
            throw error.inFile("qwen.tiktoken")
        }
    }

    /// A tokenizer of those parts.
    init(_ parts: TokenizerParts) { pipeline = EncodingPipeline(parts) }

    /// The number of ids: the greatest id and 1.
    package var vocabularyCount: Int { pipeline.vocabulary.count }

    /// The tokens that are found in the text itself.
    package var addedTokens: [AddedToken] { pipeline.addedTokens }

    /// The token ids of a text.
    ///
    /// Without `parseSpecialTokens`, text that spells a special token stays plain text. `shield` is taken out of the text
    /// once the added tokens are found: what a `TextShield` put it into stays plain text too.
    package func encode(
        _ text: String, addSpecialTokens: Bool = false, parseSpecialTokens: Bool = true,
        shield: Unicode.Scalar? = nil
    ) -> [Int32] {
        pipeline.encode(
            Array(text.utf8), addSpecialTokens: addSpecialTokens, parseSpecialTokens: parseSpecialTokens,
            shield: shield.map { Array(String($0).utf8) })
    }

    /// A shield from the special tokens, and from other marks.
    package func shield(alsoFrom marks: [String]) -> TextShield {
        TextShield(
            from: addedTokens.filter(\.isSpecial)
                + marks.map { AddedToken(id: 0, content: $0, isSpecial: true) })
    }

    /// The id of a token, spelled as in the vocabulary.
    package func id(of token: String) -> Int32? {
        var bytes = Array(token.utf8)
        let isLiteral = pipeline.output.spelling.store(&bytes)
        return pipeline.vocabulary.id(of: bytes.span, 0..<bytes.count, isLiteral: isLiteral)
    }

    /// The bytes that a token stands for in output; nil for an unknown id.
    package func bytes(of id: Int32) -> [UInt8]? {
        pipeline.bytes(of: id).map { Array($0) }
    }

    /// Whether an id is of a control token.
    package func isSpecial(_ id: Int32) -> Bool { pipeline.specialIDs.contains(id) }

    /// The text of token ids; unknown ids are passed over, and ill-formed UTF-8 becomes U+FFFD.
    package func decode(_ ids: [Int32], skipSpecialTokens: Bool) -> String {
        var assembly = TextAssembly(pipeline.output)
        var output: [UInt8] = []
        for id in ids { append(id, skipSpecialTokens: skipSpecialTokens, to: &assembly, &output) }
        assembly.finish(&output)
        return String(decoding: output, as: UTF8.self)
    }

    /// A text without its first token.
    func makeAssembly() -> TextAssembly { TextAssembly(pipeline.output) }

    /// Adds a token to a text that is being put together.
    func append(
        _ id: Int32, skipSpecialTokens: Bool, to assembly: inout TextAssembly, _ output: inout [UInt8]
    ) {
        guard !(skipSpecialTokens && isSpecial(id)) else { return }
        assembly.append(id, pipeline, to: &output)
    }
}
