/// Finds where the match of a split pattern ends.
///
/// The alternatives of the patterns are tried in their order, and every scalar belongs to a match.
struct PieceScanner: ~Escapable {
    private let bytes: Span<UInt8>
    private let classes: Span<UnicodeClasses>
    /// End of the text, as the patterns see it.
    private let end: Int

    /// A scanner of `bytes` up to `end`.
    @_lifetime(copy bytes, copy classes)
    init(_ bytes: Span<UInt8>, end: Int, classes: Span<UnicodeClasses>) {
        self.bytes = bytes
        self.end = end
        self.classes = classes
    }

    /// The end of the match that starts at `start`, which is before the end of the text.
    @inline(__always)
    func end(of pattern: SplitPattern, from start: Int) -> Int {
        switch pattern {
        case .gpt2:
            return endOfGPT2(from: start)
        case .gpt4(let digitsPerGroup, let marksAreLetters):
            let letters: UnicodeClasses = marksAreLetters ? [.letter, .mark] : .letter
            return endOfGPT4(from: start, letters: letters, digitsPerGroup: digitsPerGroup)
        }
    }

    /// The end of the run of scalars that are, or are not, of any of the classes.
    @inline(__always)
    func run(of wanted: UnicodeClasses, isMember: Bool = true, from start: Int, atMost limit: Int = .max)
        -> Int
    {
        var position = start
        var count = 0
        while position < end, count < limit {
            let (found, length) = scalar(at: position)
            guard found.isDisjoint(with: wanted) != isMember else { break }
            position += length
            count += 1
        }
        return position
    }

    // 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
    private func endOfGPT2(from start: Int) -> Int {
        if bytes[start] == UInt8(ascii: "'"), let end = contraction(after: start, anyCase: false) {
            return end
        }
        let isSpace = bytes[start] == UInt8(ascii: " ")
        let body = isSpace ? start + 1 : start
        guard body < end else { return body }
        let (found, length) = scalar(at: body)
        if found.contains(.letter) { return run(of: .letter, from: body + length) }
        if found.contains(.number) { return run(of: .number, from: body + length) }
        if !found.contains(.space) {
            return run(of: [.letter, .number, .space], isMember: false, from: body + length)
        }
        let spaces = spaceRun(from: start)
        return spaces.isWhole ? spaces.end : spaces.endBeforeLast
    }

    // (?i:'s|…)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,n}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
    private func endOfGPT4(from start: Int, letters: UnicodeClasses, digitsPerGroup: Int) -> Int {
        let first = bytes[start]
        if first == UInt8(ascii: "'"), let end = contraction(after: start, anyCase: true) { return end }
        let (found, length) = scalar(at: start)
        if !found.isDisjoint(with: letters) { return run(of: letters, from: start + length) }
        if found.contains(.number) { return run(of: .number, from: start, atMost: digitsPerGroup) }
        let next = start + length
        let nextClasses = next < end ? scalar(at: next).classes : .space
        if !nextClasses.isDisjoint(with: letters), first != UInt8(ascii: "\r"), first != UInt8(ascii: "\n") {
            return run(of: letters, from: next)
        }
        let words = letters.union([.number, .space])
        if !found.contains(.space) { return lineEnds(from: run(of: words, isMember: false, from: next)) }
        if first == UInt8(ascii: " "), nextClasses.isDisjoint(with: words) {
            return lineEnds(from: run(of: words, isMember: false, from: next))
        }
        let spaces = spaceRun(from: start)
        if let lineEnd = spaces.endOfLastLine { return lineEnd }
        return spaces.isWhole ? spaces.end : spaces.endBeforeLast
    }

    /// A run of white space and the places where the alternatives for it end.
    private struct SpaceRun {
        var end: Int
        /// After the last line end in it.
        var endOfLastLine: Int?
        /// Before its last scalar, or after that if it is the only one.
        var endBeforeLast: Int
        /// Whether nothing follows.
        var isWhole: Bool
    }

    private func spaceRun(from start: Int) -> SpaceRun {
        var run = SpaceRun(end: start, endBeforeLast: start, isWhole: false)
        while run.end < end {
            let (found, length) = scalar(at: run.end)
            guard found.contains(.space) else { break }
            run.endBeforeLast = run.end
            let byte = bytes[run.end]
            run.end += length
            if byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") { run.endOfLastLine = run.end }
        }
        run.isWhole = run.end == end
        if run.endBeforeLast == start { run.endBeforeLast = run.end }
        return run
    }

    private func lineEnds(from start: Int) -> Int {
        var position = start
        while position < end, bytes[position] == UInt8(ascii: "\n") || bytes[position] == UInt8(ascii: "\r") {
            position += 1
        }
        return position
    }

    /// The end of 's, 't, 're, 've, 'm, 'll or 'd.
    private func contraction(after apostrophe: Int, anyCase: Bool) -> Int? {
        guard apostrophe + 1 < end else { return nil }
        let first = letter(at: apostrophe + 1, anyCase)
        switch first {
        case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return apostrophe + 2
        // U+017F is a lower-case s to a pattern that ignores case.
        case 0xC5 where anyCase && apostrophe + 2 < end && bytes[apostrophe + 2] == 0xBF:
            return apostrophe + 3
        default: break
        }
        guard apostrophe + 2 < end else { return nil }
        switch (first, letter(at: apostrophe + 2, anyCase)) {
        case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
            (UInt8(ascii: "l"), UInt8(ascii: "l")):
            return apostrophe + 3
        default: return nil
        }
    }

    private func letter(at position: Int, _ anyCase: Bool) -> UInt8 {
        let byte = bytes[position]
        return anyCase && byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
    }

    @inline(__always)
    private func scalar(at position: Int) -> (classes: UnicodeClasses, length: Int) {
        let byte = bytes[position]
        if byte < 0x80 { return (classes[Int(byte)], 1) }
        let (value, length) = UTF8Scalar.read(bytes, at: position)
        return (classes[Int(value)], length)
    }
}
