/// How a number or text is laid out: the common part of `%5.2f` and `{:>5.2f}`.
struct FormatLayout {
    /// What fills up to the width.
    var fill: Unicode.Scalar = " "
    /// `<`, `>` or `^`; by default text is at the left and numbers are at the right.
    var alignment: Unicode.Scalar?
    /// Whether zeros fill between the sign and the digits.
    var hasZeros = false
    /// `+` or a space before numbers that are not negative.
    var sign = ""
    /// Least count of scalars.
    var width = 0
    /// Digits after the point, or most scalars of text.
    var precision: Int?

    /// Widest field; more is refused.
    static let maxWidth = 1_000

    /// The text in its field.
    func laidOut(_ text: String, isNumber: Bool) -> String {
        let missing = max(0, width - text.unicodeScalars.count)
        if hasZeros, isNumber, alignment == nil {
            let signCount =
                text.utf8.first.map { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") } == true ? 1 : 0
            return String(text.unicodeScalars.prefix(signCount)) + String(repeating: "0", count: missing)
                + String(text.unicodeScalars.dropFirst(signCount))
        }
        let padding = { (count: Int) in String(repeating: String(fill), count: count) }
        switch alignment ?? (isNumber ? ">" : "<") {
        case "<": return text + padding(missing)
        case "^": return padding(missing / 2) + text + padding(missing - missing / 2)
        default: return padding(missing) + text
        }
    }

    /// A number with its sign.
    func signed(_ text: String) -> String {
        text.utf8.first == UInt8(ascii: "-") ? text : sign + text
    }
}

extension Interpreter {
    /// A value by a conversion letter, laid out.
    mutating func formatted(
        _ value: Value, _ letter: Unicode.Scalar, _ layout: FormatLayout
    ) throws(JinjaError) -> String {
        guard layout.width <= FormatLayout.maxWidth, layout.precision ?? 0 <= 100 else {
            throw failure("a field that is too wide")
        }
        switch letter {
        case "s":
            return layout.laidOut(cut(try string(value), to: layout.precision), isNumber: false)
        case "r":
            var text = ""
            try represent(value, into: &text)
            return layout.laidOut(cut(text, to: layout.precision), isNumber: false)
        case "d", "i":
            guard
                let integer = value.integer ?? value.number.flatMap({ Int(exactly: $0.rounded(.towardZero)) })
            else {
                throw failure("'%\(letter)' needs a number")
            }
            return layout.laidOut(layout.signed(String(integer)), isNumber: true)
        case "x", "X":
            guard let integer = value.integer else { throw failure("'%\(letter)' needs a whole number") }
            return layout.laidOut(
                layout.signed(String(integer, radix: 16, uppercase: letter == "X")), isNumber: true)
        case "f", "F":
            guard let number = value.number else { throw failure("'%f' needs a number") }
            guard let text = Rounding.fixed(number, digits: layout.precision ?? 6) else {
                throw failure("a number that cannot be written so")
            }
            return layout.laidOut(layout.signed(text), isNumber: true)
        default:
            throw failure("a format that is not supported")
        }
    }

    private func cut(_ text: String, to count: Int?) -> String {
        count.map { String(text.unicodeScalars.prefix($0)) } ?? text
    }

    /// `format % arguments`.
    mutating func percentFormat(
        _ format: String, _ arguments: [Value], named: [(name: String, value: Value)] = []
    ) throws(JinjaError) -> Value {
        try charge(format.utf8.count >> 4)
        var scalars = format.unicodeScalars[...]
        var result = ""
        var next = 0
        while let scalar = scalars.popFirst() {
            guard scalar == "%" else {
                result.unicodeScalars.append(scalar)
                continue
            }
            if scalars.first == "%" {
                scalars.removeFirst()
                result += "%"
                continue
            }
            let name = try mappingKey(&scalars)
            let layout = percentLayout(&scalars)
            guard let letter = scalars.popFirst() else { throw failure("a format that is not complete") }
            let value: Value?
            if let name {
                if case .object(let object)? = arguments.first {
                    value = object[name]
                } else {
                    value = named.first { Text($0.name) == Text(name) }?.value
                }
            } else {
                value = next < arguments.count ? arguments[next] : nil
                next += 1
            }
            guard let value else { throw failure("a format with too few values") }
            result += try formatted(value, letter, layout)
            guard result.utf8.count <= limits.maxOutputBytes else { throw .exceeded(line: line, .output) }
        }
        if next < arguments.count, next > 0 || !named.isEmpty || !isObject(arguments[0]) {
            throw failure("a format with too many values")
        }
        return try text(result)
    }

    private func isObject(_ value: Value) -> Bool {
        if case .object = value { true } else { false }
    }

    private func mappingKey(_ scalars: inout Substring.UnicodeScalarView) throws(JinjaError) -> String? {
        guard scalars.first == "(" else { return nil }
        guard let end = scalars.firstIndex(of: ")") else { throw failure("a format that is not complete") }
        let name = String(scalars[scalars.index(after: scalars.startIndex)..<end])
        scalars = scalars[scalars.index(after: end)...]
        return name
    }

    private func percentLayout(_ scalars: inout Substring.UnicodeScalarView) -> FormatLayout {
        var layout = FormatLayout()
        layout.alignment = nil
        while let flag = scalars.first, ["-", "+", " ", "0", "#"].contains(flag) {
            scalars.removeFirst()
            switch flag {
            case "-": layout.alignment = "<"
            case "0": layout.hasZeros = true
            case "+": layout.sign = "+"
            case " ": layout.sign = layout.sign.isEmpty ? " " : layout.sign
            default: break
            }
        }
        layout.width = Self.number(&scalars) ?? 0
        if scalars.first == "." {
            scalars.removeFirst()
            layout.precision = Self.number(&scalars) ?? 0
        }
        // Text stands at the right too, unlike in braces.
        if layout.alignment == nil, !layout.hasZeros { layout.alignment = ">" }
        return layout
    }

    /// Steps over a number, which is cut at a million.
    static func number(_ scalars: inout Substring.UnicodeScalarView) -> Int? {
        var value: Int?
        while let scalar = scalars.first, ("0"..."9").contains(scalar) {
            scalars.removeFirst()
            value = min((value ?? 0) * 10 + Int(scalar.value - 48), 1_000_000)
        }
        return value
    }
}
