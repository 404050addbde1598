extension Interpreter {
    /// `str.format`: `{}`, `{0}`, `{name}`, each with a layout after a colon.
    mutating func braceFormat(_ format: String, _ arguments: Arguments) throws(JinjaError) -> Value {
        try charge(format.utf8.count >> 4)
        var scalars = format.unicodeScalars[...]
        var result = ""
        var next = 0
        while let scalar = scalars.popFirst() {
            guard scalar == "{" || scalar == "}" else {
                result.unicodeScalars.append(scalar)
                continue
            }
            if scalars.first == scalar {
                scalars.removeFirst()
                result.unicodeScalars.append(scalar)
                continue
            }
            guard scalar == "{", let end = scalars.firstIndex(of: "}") else {
                throw failure("a format with a single brace")
            }
            let field = scalars[..<end]
            scalars = scalars[scalars.index(after: end)...]
            result += try replacement(for: field, arguments, &next)
            guard result.utf8.count <= limits.maxOutputBytes else { throw .exceeded(line: line, .output) }
        }
        return try text(result)
    }

    private mutating func replacement(
        for field: Substring.UnicodeScalarView, _ arguments: Arguments, _ next: inout Int
    ) throws(JinjaError) -> String {
        let colon = field.firstIndex(of: ":") ?? field.endIndex
        let name = String(field[..<colon])
        let value: Value?
        if name.isEmpty {
            value = next < arguments.positional.count ? arguments.positional[next] : nil
            next += 1
        } else if let index = Int(name) {
            value = arguments.positional.indices.contains(index) ? arguments.positional[index] : nil
        } else {
            value = arguments.named.first { Text($0.name) == Text(name) }?.value
        }
        guard let value else { throw failure("a format with too few values") }
        guard colon < field.endIndex else { return try string(value) }
        var rest = field[field.index(after: colon)...]
        let layout = braceLayout(&rest)
        let isReal = if case .double = value { true } else { false }
        let letter: Unicode.Scalar = rest.popFirst() ?? (value.integer != nil ? "d" : isReal ? "r" : "s")
        guard rest.isEmpty else { throw failure("a format that is not supported") }
        if letter == "r", isReal, layout.precision == nil {
            return layout.laidOut(layout.signed(try string(value)), isNumber: true)
        }
        return try formatted(value, letter, layout)
    }

    private func braceLayout(_ scalars: inout Substring.UnicodeScalarView) -> FormatLayout {
        let alignments: [Unicode.Scalar] = ["<", ">", "^"]
        var layout = FormatLayout()
        if let second = scalars.dropFirst().first, alignments.contains(second), let fill = scalars.first {
            layout.fill = fill
            layout.alignment = second
            scalars.removeFirst(2)
        } else if let first = scalars.first, alignments.contains(first) {
            layout.alignment = first
            scalars.removeFirst()
        }
        if let sign = scalars.first, ["+", "-", " "].contains(sign) {
            layout.sign = sign == "-" ? "" : String(sign)
            scalars.removeFirst()
        }
        if scalars.first == "0" {
            layout.hasZeros = true
            scalars.removeFirst()
        }
        layout.width = Self.number(&scalars) ?? 0
        if scalars.first == "." {
            scalars.removeFirst()
            layout.precision = Self.number(&scalars) ?? 0
        }
        return layout
    }
}
