extension Interpreter {
    /// `str.split` and `str.rsplit`.
    mutating func split(_ text: String, _ arguments: Arguments, fromRight: Bool) throws(JinjaError) -> Value {
        let bound = try bind(arguments, to: ["sep", "maxsplit"], of: "split")
        let wanted = try integer(bound[1], or: -1, of: "split")
        let limit = wanted < 0 ? Int.max : wanted
        switch bound[0] {
        case nil, .some(.none):
            let parts =
                fromRight
                ? PythonText.wordsFromRight(text, limit: limit) : PythonText.words(text, limit: limit)
            return try texts(parts)
        case .some(.string(let separator)):
            guard !separator.isEmpty else { throw failure("an empty separator") }
            return try texts(parts(of: text, between: separator, limit: limit, fromRight: fromRight))
        default:
            throw failure("'split' needs a string")
        }
    }

    private mutating func parts(
        of text: String, between separator: String, limit: Int, fromRight: Bool
    ) throws(JinjaError) -> [String] {
        // From the right is from the left on what is reversed, byte for byte.
        let bytes = fromRight ? Array(text.utf8.reversed()) : Array(text.utf8)
        let search = TextSearch(bytes: fromRight ? separator.utf8.reversed() : Array(separator.utf8))
        let places = search.all(in: bytes, atMost: limit)
        try charge(places.count)
        var ranges: [Range<Int>] = []
        var start = 0
        for place in places {
            ranges.append(start..<place)
            start = place + search.byteCount
        }
        ranges.append(start..<bytes.count)
        if fromRight {
            return ranges.reversed().map { String(decoding: bytes[$0].reversed(), as: UTF8.self) }
        }
        return ranges.map { String(decoding: bytes[$0], as: UTF8.self) }
    }
}

extension PythonText {
    /// The words between white space; after so many cuts, the rest is one.
    static func words(_ text: String, limit: Int) -> [String] {
        let scalars = text.unicodeScalars
        var words: [String] = []
        var cursor = scalars.startIndex
        while true {
            while cursor < scalars.endIndex, isSpace(scalars[cursor]) {
                cursor = scalars.index(after: cursor)
            }
            guard cursor < scalars.endIndex else { return words }
            if words.count == limit {
                return words + [String(scalars[cursor...])]
            }
            let start = cursor
            while cursor < scalars.endIndex, !isSpace(scalars[cursor]) {
                cursor = scalars.index(after: cursor)
            }
            words.append(String(scalars[start..<cursor]))
        }
    }

    /// The words between white space, cut from the right.
    static func wordsFromRight(_ text: String, limit: Int) -> [String] {
        func mirrored(_ text: String) -> String {
            var view = String.UnicodeScalarView()
            view.append(contentsOf: text.unicodeScalars.reversed())
            return String(view)
        }
        return words(mirrored(text), limit: limit).reversed().map(mirrored)
    }

    /// Whether the text starts or ends with a part.
    static func has(_ part: String, _ text: String, atStart: Bool) -> Bool {
        atStart ? text.utf8.starts(with: part.utf8) : text.utf8.reversed().starts(with: part.utf8.reversed())
    }

    /// `str.swapcase`.
    static func swappingCase(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") {
            $0 += $1.properties.isUppercase ? $1.properties.lowercaseMapping : $1.properties.uppercaseMapping
        }
    }

    /// `str.isdigit` and its likes: all scalars are such, and there is one.
    static func holds(_ method: Methods.StringMethod, _ text: String) -> Bool {
        let scalars = text.unicodeScalars
        switch method {
        case .isascii: return scalars.allSatisfy(\.isASCII)
        case .isupper: return isCased(text, by: upper)
        case .islower: return isCased(text, by: lower)
        default: break
        }
        return !scalars.isEmpty
            && scalars.allSatisfy { scalar in
                let number = scalar.properties.numericType
                return switch method {
                case .isdigit: number == .decimal || number == .digit
                case .isdecimal: number == .decimal
                case .isnumeric: number != nil
                case .isalpha: isLetter(scalar)
                case .isalnum: isLetter(scalar) || number != nil
                default: isSpace(scalar)
                }
            }
    }

    /// Whether a text has cases and this one.
    static func isCased(_ text: String, by fold: (String) -> String) -> Bool {
        text.unicodeScalars.contains { $0.properties.isCased } && Text(fold(text)) == Text(text)
    }

    private static func isLetter(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: false
        }
    }
}
