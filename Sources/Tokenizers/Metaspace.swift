import JSON

/// The pre-tokenizer and decoder that write spaces as a mark and may put one in front.
struct Metaspace: Sendable, Equatable {
    /// Where a mark is put in front.
    enum Prefix: String, Sendable {
        case always
        case first
        case never
    }

    /// The mark's UTF-8.
    let mark: [UInt8]
    /// Where one is put in front.
    let prefix: Prefix
    /// Whether each mark begins a piece.
    let splits: Bool

    /// Reads the stage.
    init(_ value: JSONValue) throws(TokenizerError) {
        guard let mark = value["replacement"].string, mark.unicodeScalars.count == 1 else {
            throw TokenizerError("Metaspace has a replacement that is not one character")
        }
        guard let prefix = Prefix(rawValue: value["prepend_scheme"].string ?? "always"),
            try value["add_prefix_space"].flag(true, "add_prefix_space") || prefix == .never
        else { throw TokenizerError("Metaspace has a prepend_scheme that is unknown or contradicted") }
        self.mark = Array(mark.utf8)
        self.prefix = prefix
        splits = try value["split"].flag(true, "split")
    }

    /// The text with marks.
    func apply(_ bytes: Span<UInt8>, _ range: Range<Int>, isFirst: Bool) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(range.count + range.count / 2 + mark.count)
        let hasMark =
            bytes[range.lowerBound] == 0x20
            || ByteSearch.stands(mark, at: range.lowerBound, in: bytes, range.upperBound)
        if !hasMark, prefix == .always || (prefix == .first && isFirst) { text += mark }
        for index in range {
            if bytes[index] == 0x20 { text += mark } else { text.append(bytes[index]) }
        }
        return text
    }

    /// The end of the piece at `start`: before the next mark.
    func end(of bytes: Span<UInt8>, from start: Int, to end: Int) -> Int {
        var position = start + 1
        while position < end, !ByteSearch.stands(mark, at: position, in: bytes, end) { position += 1 }
        return position
    }
}
