/// Why a text is not JSON that we take. Nothing of the text is in it, but the key it happened under.
struct JSONError: Error, Hashable {
    /// The kinds of refusal.
    enum Kind: Hashable {
        case syntax
        case invalidUTF8
        case loneSurrogate
        case tooDeep
        case numberOutOfRange
    }

    let kind: Kind
    /// Where in the text, in bytes.
    let offset: Int
    /// The member of the outermost object it lies in, as sent.
    let key: String?

    /// A sentence for the client.
    var message: String {
        switch kind {
        case .syntax: "the body is not valid JSON (at byte \(offset))"
        case .invalidUTF8: "the body is not valid UTF-8 (at byte \(offset))"
        case .loneSurrogate: "a string has half of a surrogate pair (at byte \(offset))"
        case .tooDeep: "the body is nested more than \(JSONReader.maxDepth) levels deep"
        case .numberOutOfRange: "a number is out of range (at byte \(offset))"
        }
    }
}

/// Reads JSON strictly (RFC 8259): UTF-8 without a byte order mark, nothing after the value, bounded nesting.
///
/// Takes time linear in the text. Numbers never trap; what fits no Double is refused.
struct JSONReader {
    /// How deep arrays and objects may nest.
    static let maxDepth = 64

    let text: [UInt8]
    var offset = 0
    private var depth = 0
    private var outermostKey: String?

    /// The value that is the whole of `text`.
    static func read(_ text: [UInt8]) throws(JSONError) -> JSONValue {
        var reader = JSONReader(text: text)
        let value = try reader.readValue()
        reader.skipBlanks()
        guard reader.offset == text.count else { throw reader.error(.syntax) }
        return value
    }

    private init(text: [UInt8]) { self.text = text }

    func error(_ kind: JSONError.Kind) -> JSONError {
        JSONError(kind: kind, offset: offset, key: outermostKey)
    }

    /// The next byte; nil at the end.
    var next: UInt8? { offset < text.count ? text[offset] : nil }

    private mutating func skipBlanks() {
        while let byte = next, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { offset += 1 }
    }

    /// Steps over `byte` if it is next.
    mutating func skip(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        offset += 1
        return true
    }

    private mutating func readValue() throws(JSONError) -> JSONValue {
        skipBlanks()
        switch next {
        case UInt8(ascii: "{"): return try readObject()
        case UInt8(ascii: "["): return try readArray()
        case UInt8(ascii: "\""): return .string(try readString())
        case UInt8(ascii: "t"): return try readWord("true", .bool(true))
        case UInt8(ascii: "f"): return try readWord("false", .bool(false))
        case UInt8(ascii: "n"): return try readWord("null", .null)
        default: return try readNumber()
        }
    }

    private mutating func readWord(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        for byte in "\(word)".utf8 {
            guard skip(byte) else { throw error(.syntax) }
        }
        return value
    }

    private mutating func descend() throws(JSONError) {
        offset += 1
        depth += 1
        guard depth <= Self.maxDepth else { throw error(.tooDeep) }
        skipBlanks()
    }

    private mutating func readArray() throws(JSONError) -> JSONValue {
        try descend()
        var elements: [JSONValue] = []
        if !skip(UInt8(ascii: "]")) {
            while true {
                elements.append(try readValue())
                skipBlanks()
                if skip(UInt8(ascii: "]")) { break }
                guard skip(UInt8(ascii: ",")) else { throw error(.syntax) }
            }
        }
        depth -= 1
        return .array(elements)
    }

    private mutating func readObject() throws(JSONError) -> JSONValue {
        try descend()
        var object = JSONObject()
        if !skip(UInt8(ascii: "}")) {
            while true {
                skipBlanks()
                guard next == UInt8(ascii: "\"") else { throw error(.syntax) }
                let key = try readString()
                if depth == 1 { outermostKey = key }
                skipBlanks()
                guard skip(UInt8(ascii: ":")) else { throw error(.syntax) }
                object.set(key, try readValue())
                skipBlanks()
                if skip(UInt8(ascii: "}")) { break }
                guard skip(UInt8(ascii: ",")) else { throw error(.syntax) }
            }
        }
        depth -= 1
        return .object(object)
    }

    /// `-? (0 | [1-9] digit*) (. digit+)? ([eE] [+-]? digit+)?`
    private mutating func readNumber() throws(JSONError) -> JSONValue {
        let start = offset
        var isInteger = true
        _ = skip(UInt8(ascii: "-"))
        if !skip(UInt8(ascii: "0")) { try skipDigits() }
        if skip(UInt8(ascii: ".")) {
            isInteger = false
            try skipDigits()
        }
        if skip(UInt8(ascii: "e")) || skip(UInt8(ascii: "E")) {
            isInteger = false
            if !skip(UInt8(ascii: "+")) { _ = skip(UInt8(ascii: "-")) }
            try skipDigits()
        }
        // Longer than any number of use, and strtod's time is not ours to spend.
        guard offset - start <= 1_000 else { throw error(.numberOutOfRange) }
        let digits = String(decoding: text[start..<offset], as: UTF8.self)
        if isInteger, let value = Int(digits) { return .int(value) }
        guard let value = Double(digits), value.isFinite else { throw error(.numberOutOfRange) }
        return .double(value)
    }

    private mutating func skipDigits() throws(JSONError) {
        let start = offset
        while let byte = next, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { offset += 1 }
        guard offset > start else { throw error(.syntax) }
    }
}
