/// SentencePiece's normalization: its map of characters, spaces as marks, and a mark in front.
struct SentencePieceNormalizer: Sendable {
    /// Where a mark is put in front.
    enum Prefix: Sendable {
        case never
        /// Of every text between added tokens.
        case each
        /// Of text that nothing is before.
        case first
    }

    /// Where a mark is put in front.
    var prefix = Prefix.each
    /// Whether spaces at both ends go, and others become one.
    var removesExtraSpaces = false
    /// Whether spaces become marks.
    var escapesSpaces = true
    /// What characters become; nil if they stay as they are.
    var characters: CharacterMap?
    /// Tokens that the map leaves as they are.
    var symbols = AddedTokenMatcher([])

    /// The normal form of `bytes[range]`, which is not empty.
    func apply(_ bytes: Span<UInt8>, _ range: Range<Int>, isFirst: Bool) -> [UInt8] {
        let space = escapesSpaces ? SpaceMark.bytes : [0x20]
        var text: [UInt8] = []
        text.reserveCapacity(range.count + range.count / 2 + space.count)
        var position = range.lowerBound
        if removesExtraSpaces {
            while position < range.upperBound {
                let step = mapped(bytes, position, range.upperBound)
                guard step.text == [0x20] else { break }
                position = step.end
            }
        }
        guard position < range.upperBound else { return [] }
        if prefix == .each || (prefix == .first && isFirst) { text += space }
        var followsSpace = removesExtraSpaces
        while position < range.upperBound {
            let byte = bytes[position]
            if byte != 0x20, byte < 0x80, characters == nil {
                text.append(byte)
                followsSpace = false
                position += 1
                continue
            }
            let step = mapped(bytes, position, range.upperBound)
            position = step.end
            var part = step.text[...]
            while followsSpace, part.first == 0x20 { part.removeFirst() }
            for byte in part {
                if byte == 0x20 { text += space } else { text.append(byte) }
            }
            if let last = part.last { followsSpace = last == 0x20 && removesExtraSpaces }
        }
        if removesExtraSpaces {
            while text.suffix(space.count) == space[...] { text.removeLast(space.count) }
        }
        return text
    }

    /// What stands at a place, mapped, and where it ends.
    @inline(__always)
    private func mapped(_ bytes: Span<UInt8>, _ start: Int, _ limit: Int) -> (text: [UInt8], end: Int) {
        if let characters {
            if let match = symbols.longestMatch(bytes, start..<limit) {
                return ((start..<match.end).map { bytes[$0] }, match.end)
            }
            if let match = characters.longestMatch(bytes, start..<limit) { return match }
        }
        let end = min(start + UTF8Scalar.read(bytes, at: start).length, limit)
        return ((start..<end).map { bytes[$0] }, end)
    }
}
