/// Python's view of text: white space, words, lines and cases, by Unicode scalar.
enum PythonText {
    /// Whether `str.isspace` holds for it.
    static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09...0x0d, 0x1c...0x20, 0x85, 0xa0, 0x1680, 0x2000...0x200a, 0x2028, 0x2029, 0x202f, 0x205f,
            0x3000:
            true
        default:
            false
        }
    }

    /// Whether it may stand in a name.
    static func isWord(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "_": true
        default: !scalar.isASCII && (scalar.properties.isXIDContinue)
        }
    }

    /// Whether `str.splitlines` ends a line there.
    static func endsLine(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x0a...0x0d, 0x1c...0x1e, 0x85, 0x2028, 0x2029: true
        default: false
        }
    }

    /// The scalars with `\r\n` and `\r` made `\n`.
    static func normalizingNewlines(_ text: String) -> [Unicode.Scalar] {
        var result: [Unicode.Scalar] = []
        result.reserveCapacity(text.utf8.count)
        var followsReturn = false
        for scalar in text.unicodeScalars {
            if scalar == "\r" {
                result.append("\n")
            } else if scalar != "\n" || !followsReturn {
                result.append(scalar)
            }
            followsReturn = scalar == "\r"
        }
        return result
    }

    /// The text without the scalars that `isStripped` holds for at the chosen ends.
    static func stripped(
        _ text: String, left: Bool = true, right: Bool = true,
        _ isStripped: (Unicode.Scalar) -> Bool = isSpace
    ) -> String {
        let scalars = text.unicodeScalars
        var start = scalars.startIndex
        var end = scalars.endIndex
        while left, start < end, isStripped(scalars[start]) { start = scalars.index(after: start) }
        while right, end > start {
            let before = scalars.index(before: end)
            guard isStripped(scalars[before]) else { break }
            end = before
        }
        return String(scalars[start..<end])
    }

    /// The lines, with their ends if asked for.
    static func lines(_ text: String, keepingEnds: Bool = false) -> [String] {
        let scalars = text.unicodeScalars
        var lines: [String] = []
        var start = scalars.startIndex
        var cursor = start
        while cursor < scalars.endIndex {
            let scalar = scalars[cursor]
            var next = scalars.index(after: cursor)
            if endsLine(scalar) {
                if scalar == "\r", next < scalars.endIndex, scalars[next] == "\n" {
                    next = scalars.index(after: next)
                }
                lines.append(String(scalars[start..<(keepingEnds ? next : cursor)]))
                start = next
            }
            cursor = next
        }
        if start < scalars.endIndex { lines.append(String(scalars[start...])) }
        return lines
    }

    /// `str.upper`.
    static func upper(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { $0 += $1.properties.uppercaseMapping }
    }

    /// `str.lower`, but for the final sigma.
    static func lower(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { $0 += $1.properties.lowercaseMapping }
    }

    /// `str.capitalize`.
    static func capitalized(_ text: String) -> String {
        guard let first = text.unicodeScalars.first else { return "" }
        return first.properties.titlecaseMapping + lower(String(text.unicodeScalars.dropFirst()))
    }

    /// `str.title`: a letter after one that has no case is a capital.
    static func titled(_ text: String) -> String {
        var result = ""
        var followsCased = false
        for scalar in text.unicodeScalars {
            result += followsCased ? scalar.properties.lowercaseMapping : scalar.properties.titlecaseMapping
            followsCased = scalar.properties.isCased
        }
        return result
    }

    /// The `title` filter: words start after white space and opening brackets only.
    static func wordsTitled(_ text: String) -> String {
        var result = ""
        var startsWord = true
        for scalar in text.unicodeScalars {
            let isBoundary = isSpace(scalar) || ["-", "(", "{", "[", "<"].contains(scalar)
            result +=
                startsWord && !isBoundary
                ? scalar.properties.uppercaseMapping : scalar.properties.lowercaseMapping
            startsWord = isBoundary
        }
        return result
    }
}
