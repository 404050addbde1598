/// Writes values as Python's `json.dumps` does.
struct JSONWriter {
    /// What the writing depends on.
    struct Style {
        /// Whether what is not ASCII is escaped.
        var escapesNonASCII = false
        /// What each level is indented by; without it, all is on one line.
        var indent: String?
        /// What stands between items.
        var itemSeparator = ", "
        /// What stands between a key and its value.
        var keySeparator = ": "
        /// Whether members are sorted by their keys.
        var sortsKeys = false
    }

    /// How to write.
    let style: Style

    /// A string in quotes.
    func quoted(_ string: String) -> String {
        var result = "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "\u{8}": result += "\\b"
            case "\u{c}": result += "\\f"
            default:
                if scalar.value < 0x20 || (style.escapesNonASCII && !scalar.isASCII) {
                    for unit in UTF16.encode(scalar) ?? .init() {
                        result += "\\u" + Representation.hexadecimal(unit, width: 4)
                    }
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }

    /// A float.
    func number(_ number: Double) -> String {
        guard number.isFinite else { return number.isNaN ? "NaN" : number < 0 ? "-Infinity" : "Infinity" }
        return Representation.text(number)
    }

    /// A key, which JSON wants as a string.
    func key(_ key: Value) -> String {
        switch key {
        case .string(let string): quoted(string)
        case .int(let int): "\"\(int)\""
        case .double(let double): "\"\(number(double))\""
        case .bool(let bool): bool ? "\"true\"" : "\"false\""
        default: "\"null\""
        }
    }

    /// The start of a line at a level, if there are lines.
    func lineStart(_ level: Int) -> String {
        style.indent.map { "\n" + String(repeating: $0, count: level) } ?? ""
    }
}

extension Interpreter {
    /// Appends a value as JSON.
    mutating func write(
        _ value: Value, with writer: JSONWriter, level: Int = 0, into result: inout String
    ) throws(JinjaError) {
        try charge(1)
        switch value {
        case .none: result += "null"
        case .bool(let bool): result += bool ? "true" : "false"
        case .int(let int): result += String(int)
        case .double(let double): result += writer.number(double)
        case .string(let string):
            try charge(string.utf8.count >> 5)
            result += writer.quoted(string)
        case .list(let list), .tuple(let list):
            guard !list.items.isEmpty else {
                result += "[]"
                break
            }
            result += "["
            for (index, item) in list.items.enumerated() {
                result += (index > 0 ? writer.style.itemSeparator : "") + writer.lineStart(level + 1)
                try write(item, with: writer, level: level + 1, into: &result)
            }
            result += writer.lineStart(level) + "]"
        case .object(let object):
            guard object.count > 0 else {
                result += "{}"
                break
            }
            result += "{"
            for (index, member) in try members(of: object, with: writer.style).enumerated() {
                result += (index > 0 ? writer.style.itemSeparator : "") + writer.lineStart(level + 1)
                result += writer.key(member.key) + writer.style.keySeparator
                try write(member.value, with: writer, level: level + 1, into: &result)
            }
            result += writer.lineStart(level) + "}"
        case .undefined, .runtime:
            throw failure("a \(value.typeName) cannot be written as JSON")
        }
        guard result.utf8.count <= limits.maxOutputBytes else { throw .exceeded(line: line, .output) }
    }

    private mutating func members(
        of object: OrderedObject, with style: JSONWriter.Style
    ) throws(JinjaError) -> [(key: Value, value: Value)] {
        let members = object.members.map { (key: $0.key, value: $0.value) }
        return style.sortsKeys ? try sorted(members, isReversed: false) : members
    }

    /// The `tojson` filter.
    mutating func json(_ value: Value, _ arguments: Arguments) throws(JinjaError) -> Value {
        let bound = try bind(
            arguments, to: ["ensure_ascii", "indent", "separators", "sort_keys"], of: "tojson")
        var style = JSONWriter.Style()
        style.escapesNonASCII = bound[0]?.isTrue ?? false
        switch bound[1] {
        case .string(let indent):
            style.indent = indent
        case .some(let width):
            if let width = width.integer {
                style.indent = String(repeating: " ", count: min(max(width, 0), 64))
            }
        case nil: break
        }
        if style.indent != nil { style.itemSeparator = "," }
        if case .list(let pair)? = bound[2] { try separate(&style, by: pair.items) }
        if case .tuple(let pair)? = bound[2] { try separate(&style, by: pair.items) }
        style.sortsKeys = bound[3]?.isTrue ?? false
        var result = ""
        try write(value, with: JSONWriter(style: style), into: &result)
        return try text(result)
    }

    private func separate(_ style: inout JSONWriter.Style, by pair: [Value]) throws(JinjaError) {
        guard pair.count == 2, case .string(let item) = pair[0], case .string(let key) = pair[1] else {
            throw failure("separators are two strings")
        }
        style.itemSeparator = item
        style.keySeparator = key
    }
}
