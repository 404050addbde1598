/// Cuts a template into tokens, following jinja2's rules for white space around tags.
///
/// `-` strips all white space on its side, `+` keeps it; else a block or comment tag takes the spaces before
/// it on its line and the line's end after it. Variable tags take neither.
struct Lexer {
    /// The source's scalars, with line ends made `\n` and one last line end dropped.
    let source: [Unicode.Scalar]
    /// The next scalar to read.
    var position = 0
    /// The line of `position`.
    var line = 1
    /// What was cut so far.
    var result: [Token] = []
    // Whether `position` follows a line end that a tag took.
    private var startsLine = true

    /// Longest source that is read; the longest published templates have some tens of kilobytes.
    static let maxSourceBytes = 1 << 20

    /// What a tag's second character says it is.
    enum Tag: Unicode.Scalar {
        case variable = "{"
        case block = "%"
        case comment = "#"

        /// The second but last character of its end.
        var closing: Unicode.Scalar { self == .variable ? "}" : rawValue }
    }

    /// Prepares a source.
    init(_ text: String) throws(JinjaError) {
        guard text.utf8.count <= Self.maxSourceBytes else {
            throw .syntax(line: 1, reason: "the template is longer than \(Self.maxSourceBytes) bytes")
        }
        var scalars = PythonText.normalizingNewlines(text)
        if scalars.last == "\n" { scalars.removeLast() }
        source = scalars
    }

    /// All tokens, the last of which is `end`.
    mutating func tokens() throws(JinjaError) -> [Token] {
        while let (start, tag) = nextTag() {
            let text = position..<start
            position = start + 2
            let sign = takeSign()
            let isRaw = tag == .block && takeRaw()
            emit(text, before: tag, sign: sign)
            if isRaw {
                line += newlines(in: start..<position)
                startsLine = source[position - 1] == "\n"
                try rawText()
            } else if tag == .comment {
                try comment()
            } else {
                add(tag == .block ? .blockBegin : .variableBegin)
                try expression(tag)
            }
        }
        if position < source.count { add(.data(string(position..<source.count))) }
        position = source.count
        add(.end)
        return result
    }

    /// The scalar so far ahead, if any.
    func peek(_ offset: Int = 0) -> Unicode.Scalar? {
        position + offset < source.count ? source[position + offset] : nil
    }

    /// Appends a token of the current line.
    mutating func add(_ kind: Token.Kind) {
        result.append(Token(kind: kind, line: line))
    }

    /// The text of a range.
    func string(_ range: Range<Int>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: source[range])
        return String(view)
    }

    /// Steps over a tag's end if it is here, with the white space the end takes.
    mutating func takeEnd(of tag: Tag) -> Bool {
        var cursor = position
        let sign = peek()
        if sign == "-" || (sign == "+" && tag != .variable) { cursor += 1 }
        guard cursor + 1 < source.count, source[cursor] == tag.closing, source[cursor + 1] == "}" else {
            return false
        }
        cursor += 2
        if sign == "-" {
            while cursor < source.count, PythonText.isSpace(source[cursor]) { cursor += 1 }
        } else if sign != "+", tag != .variable, cursor < source.count, source[cursor] == "\n" {
            cursor += 1
        }
        startsLine = source[cursor - 1] == "\n"
        line += newlines(in: position..<cursor)
        position = cursor
        return true
    }

    private func nextTag() -> (start: Int, tag: Tag)? {
        var cursor = position
        while cursor + 1 < source.count {
            if source[cursor] == "{", let tag = Tag(rawValue: source[cursor + 1]) { return (cursor, tag) }
            cursor += 1
        }
        return nil
    }

    private mutating func takeSign() -> Unicode.Scalar? {
        guard let sign = peek(), sign == "-" || sign == "+" else { return nil }
        position += 1
        return sign
    }

    // Emits the text before a tag, less what the tag takes of it.
    private mutating func emit(_ text: Range<Int>, before tag: Tag, sign: Unicode.Scalar?) {
        var end = text.upperBound
        if sign == "-" {
            while end > text.lowerBound, PythonText.isSpace(source[end - 1]) { end -= 1 }
        } else if sign != "+", tag != .variable {
            var lineStart = end
            while lineStart > text.lowerBound, source[lineStart - 1] != "\n" { lineStart -= 1 }
            if lineStart > text.lowerBound || startsLine,
                source[lineStart..<end].allSatisfy(PythonText.isSpace)
            {
                end = lineStart
            }
        }
        if end > text.lowerBound { add(.data(string(text.lowerBound..<end))) }
        line += newlines(in: text)
    }

    private func newlines(in range: Range<Int>) -> Int {
        source[range].reduce(0) { $0 + ($1 == "\n" ? 1 : 0) }
    }
}

extension Lexer {
    // Steps over the rest of `{% raw %}`; elsewhere stays where it is.
    private mutating func takeRaw() -> Bool {
        guard var cursor = word("raw", from: position) else { return false }
        let isStripping = cursor < source.count && source[cursor] == "-"
        if isStripping { cursor += 1 }
        guard cursor + 1 < source.count, source[cursor] == "%", source[cursor + 1] == "}" else {
            return false
        }
        cursor += 2
        while isStripping, cursor < source.count, PythonText.isSpace(source[cursor]) { cursor += 1 }
        position = cursor
        return true
    }

    // What follows `name` and the white space around it.
    private func word(_ name: String, from start: Int) -> Int? {
        var cursor = start
        while cursor < source.count, PythonText.isSpace(source[cursor]) { cursor += 1 }
        for scalar in name.unicodeScalars {
            guard cursor < source.count, source[cursor] == scalar else { return nil }
            cursor += 1
        }
        while cursor < source.count, PythonText.isSpace(source[cursor]) { cursor += 1 }
        return cursor
    }

    // Everything up to `{% endraw %}` is data.
    private mutating func rawText() throws(JinjaError) {
        let start = position
        var cursor = start
        while cursor + 1 < source.count {
            defer { cursor += 1 }
            guard source[cursor] == "{", source[cursor + 1] == "%" else { continue }
            position = cursor + 2
            let sign = takeSign()
            guard let end = word("endraw", from: position) else { continue }
            position = end
            // The end's own line counts are added after those of the text.
            let before = line
            let startedLine = startsLine
            guard takeEnd(of: .block) else { continue }
            let taken = line - before
            let startsNextLine = startsLine
            (line, startsLine) = (before, startedLine)
            emit(start..<cursor, before: .block, sign: sign)
            line += taken
            startsLine = startsNextLine
            return
        }
        throw .syntax(line: line, reason: "a raw block without its end")
    }

    private mutating func comment() throws(JinjaError) {
        let start = line
        while position < source.count {
            if takeEnd(of: .comment) { return }
            if source[position] == "\n" { line += 1 }
            position += 1
        }
        throw .syntax(line: start, reason: "a comment without its end")
    }
}
