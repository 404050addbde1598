/// A small JSON value: the settings of a pipeline stage, never the vocabulary.
indirect enum JSONValue {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([(key: String, value: JSONValue)])

    /// Reads the value that is next.
    init(_ reader: inout JSONReader, depth: Int = 0) throws(TokenizerError) {
        guard depth < JSONReader.greatestDepth else { throw reader.malformed("too deeply nested") }
        switch reader.peek() {
        case UInt8(ascii: "{"):
            var members: [(key: String, value: JSONValue)] = []
            try reader.object { reader, key throws(TokenizerError) in
                members.append((key, try JSONValue(&reader, depth: depth + 1)))
            }
            self = .object(members)
        case UInt8(ascii: "["):
            var elements: [JSONValue] = []
            try reader.array { reader throws(TokenizerError) in
                elements.append(try JSONValue(&reader, depth: depth + 1))
            }
            self = .array(elements)
        case UInt8(ascii: "\""):
            self = .string(try reader.text())
        default:
            let word = try reader.word()
            switch word {
            case "null": self = .null
            case "true": self = .bool(true)
            case "false": self = .bool(false)
            default:
                guard let number = Double(word) else { throw reader.malformed("expected a value") }
                self = .number(number)
            }
        }
    }

    /// The member of that name, the last of several; null if there is none.
    subscript(_ name: String) -> JSONValue {
        guard case .object(let members) = self else { return .null }
        return members.last { $0.key.utf8.elementsEqual(name.utf8) }?.value ?? .null
    }

    /// Whether it is null.
    var isNull: Bool { if case .null = self { true } else { false } }
    /// The text of a string.
    var string: String? { if case .string(let text) = self { text } else { nil } }
    /// The elements of an array.
    var array: [JSONValue]? { if case .array(let elements) = self { elements } else { nil } }
    /// The members of an object.
    var object: [(key: String, value: JSONValue)]? {
        if case .object(let members) = self { members } else { nil }
    }
    /// A number that is a token's id.
    var identifier: Int32? { if case .number(let number) = self { Int32(exactly: number) } else { nil } }

    /// True or false, or `assumed` if it is null.
    func flag(_ assumed: Bool, _ name: String) throws(TokenizerError) -> Bool {
        switch self {
        case .bool(let flag): return flag
        case .null: return assumed
        default: throw TokenizerError("\(name) is neither true nor false")
        }
    }
}
