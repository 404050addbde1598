/// A text that is put together token by token, and never ends inside a character.
///
/// Single bytes join to characters as soon as they can. Where they form none, each becomes U+FFFD, as in
/// `sentencepiece`; `tokenizers` would give up the whole run of bytes, also characters that were sent long
/// before.
struct TextAssembly: Sendable {
    private var repair: UTF8Repair
    private let opening: TokenOutput.Opening
    private let spelling: TokenSpelling
    /// Spaces that the text would begin with and that are still to be left out.
    private var spacesLeft = 0
    /// Whether the next token is the first, or may still lose its mark.
    private var isOpening = true

    /// A text without its first token.
    init(_ output: TokenOutput) {
        repair = UTF8Repair(replacesEachByte: output.spelling == .plain)
        spelling = output.spelling
        opening = output.opening
        if case .spaces(let count) = opening { spacesLeft = count }
    }

    /// Appends what a token makes certain; an unknown id is passed over.
    mutating func append(_ id: Int32, _ pipeline: EncodingPipeline, to output: inout [UInt8]) {
        guard let text = pipeline.bytes(of: id) else { return }
        if spelling == .byteLevel {
            for byte in text { repair.append(byte, to: &output) }
            return
        }
        let start = output.count
        if pipeline.isByte(id) {
            for byte in text { repair.append(byte, to: &output) }
            if opening == .marks { isOpening = false }
        } else {
            repair.finish(&output)
            if output.count > start { closeOpening() }
            appendPiece(id, text, pipeline, &output)
        }
        stripSpaces(from: start, &output)
        if output.count > start { closeOpening() }
    }

    /// Appends what was held back, as U+FFFD.
    mutating func finish(_ output: inout [UInt8]) { repair.finish(&output) }

    private mutating func closeOpening() { isOpening = false }

    private mutating func appendPiece(
        _ id: Int32, _ text: ArraySlice<UInt8>, _ pipeline: EncodingPipeline, _ output: inout [UInt8]
    ) {
        guard isOpening, let spelled = pipeline.spelling(of: id) else {
            output += text
            return
        }
        switch opening {
        case .whole, .spaces: output += text
        case .marks:
            output += pipeline.output.openingText(of: spelled)
            isOpening = false
        case .sentencePiece(let ofEachToken):
            guard spelled.starts(with: SpaceMark.bytes) else {
                output += text
                return
            }
            output += pipeline.output.text(of: spelled.dropFirst(SpaceMark.bytes.count))
            if !ofEachToken { isOpening = false }
        }
    }

    private mutating func stripSpaces(from start: Int, _ output: inout [UInt8]) {
        guard spacesLeft > 0 else { return }
        while spacesLeft > 0, output.count > start, output[start] == 0x20 {
            output.remove(at: start)
            spacesLeft -= 1
        }
        if output.count > start { spacesLeft = 0 }
    }
}
