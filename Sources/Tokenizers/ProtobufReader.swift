/// Reads the fields of a protobuf message one by one (https://protobuf.dev/programming-guides/encoding).
struct ProtobufReader {
    /// A field's value, as it is on the wire.
    enum Value {
        case number(UInt64)
        case word(UInt32)
        case bytes(ArraySlice<UInt8>)

        /// The bytes, or an error.
        func bytes(_ name: String) throws(TokenizerError) -> ArraySlice<UInt8> {
            guard case .bytes(let bytes) = self else { throw ProtobufReader.malformed(name) }
            return bytes
        }

        /// A truth value, or an error.
        func flag(_ name: String) throws(TokenizerError) -> Bool { try number(name) != 0 }

        /// A whole number, or an error.
        func number(_ name: String) throws(TokenizerError) -> UInt64 {
            guard case .number(let number) = self else { throw ProtobufReader.malformed(name) }
            return number
        }

        /// A number of 32 bits, or an error.
        func float(_ name: String) throws(TokenizerError) -> Float {
            guard case .word(let word) = self else { throw ProtobufReader.malformed(name) }
            return Float(bitPattern: word)
        }
    }

    /// A field.
    struct Field {
        /// Its number in the message's definition.
        let number: UInt64
        let value: Value
    }

    private var rest: ArraySlice<UInt8>

    /// A reader of that message.
    init(_ message: ArraySlice<UInt8>) { rest = message }

    /// The next field; nil at the end.
    mutating func next() throws(TokenizerError) -> Field? {
        guard !rest.isEmpty else { return nil }
        let key = try number()
        return Field(number: key >> 3, value: try value(ofKind: key & 7))
    }

    private mutating func value(ofKind kind: UInt64) throws(TokenizerError) -> Value {
        switch kind {
        case 0: return .number(try number())
        case 1:
            let low = UInt64(try word())
            return .number(low | UInt64(try word()) << 32)
        case 2: return .bytes(try take(try number()))
        case 5: return .word(try word())
        default: throw Self.malformed("a field")
        }
    }

    private mutating func number() throws(TokenizerError) -> UInt64 {
        var number: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard let byte = rest.popFirst() else { break }
            number |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return number }
        }
        throw Self.malformed("a number")
    }

    private mutating func word() throws(TokenizerError) -> UInt32 {
        try take(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }

    private mutating func take(_ count: UInt64) throws(TokenizerError) -> ArraySlice<UInt8> {
        guard count <= UInt64(rest.count) else { throw TokenizerError("the file is cut short") }
        let taken = rest.prefix(Int(count))
        rest.removeFirst(Int(count))
        return taken
    }

    private static func malformed(_ name: String) -> TokenizerError { TokenizerError("\(name) is malformed") }
}
