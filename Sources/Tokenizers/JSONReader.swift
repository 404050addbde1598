/// A cursor over JSON text that hands out values without building a tree.
///
/// The caller has checked that the bytes are UTF-8. Every method throws on malformed text and never reads past
/// the end.
struct JSONReader {
    /// Values nested deeper than this are refused.
    static let greatestDepth = 128

    /// The whole text.
    let bytes: [UInt8]
    /// The next byte to read.
    private(set) var position = 0

    /// A cursor at the start of the text, or at a place that an earlier cursor had.
    init(_ bytes: [UInt8], at position: Int = 0) {
        self.bytes = bytes
        self.position = position
    }

    /// The next byte that is not white space, without moving past it; nil at the end.
    mutating func peek() -> UInt8? {
        while position < bytes.count {
            let byte = bytes[position]
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return byte }
            position += 1
        }
        return nil
    }

    /// Moves past `byte` if it is next.
    mutating func take(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        position += 1
        return true
    }

    /// Moves past `byte`, which must be next.
    mutating func expect(_ byte: UInt8) throws(TokenizerError) {
        guard take(byte) else { throw malformed("expected '\(Character(UnicodeScalar(byte)))'") }
    }

    /// Calls `body` at each element of an array; `body` must read exactly one value.
    mutating func array(_ body: (inout JSONReader) throws(TokenizerError) -> Void) throws(TokenizerError) {
        try expect(UInt8(ascii: "["))
        guard !take(UInt8(ascii: "]")) else { return }
        repeat {
            try body(&self)
        } while take(UInt8(ascii: ","))
        try expect(UInt8(ascii: "]"))
    }

    /// Calls `body` at each value of an object, with its key; `body` must read exactly one value.
    mutating func object(
        _ body: (inout JSONReader, String) throws(TokenizerError) -> Void
    ) throws(TokenizerError) {
        var key: [UInt8] = []
        try members(&key) { reader, key throws(TokenizerError) in
            try body(&reader, String(decoding: key, as: UTF8.self))
        }
    }

    /// As `object`, but the key stays UTF-8 in a buffer that is used again.
    mutating func members(
        _ key: inout [UInt8], _ body: (inout JSONReader, [UInt8]) throws(TokenizerError) -> Void
    ) throws(TokenizerError) {
        try expect(UInt8(ascii: "{"))
        guard !take(UInt8(ascii: "}")) else { return }
        repeat {
            try string(into: &key)
            try expect(UInt8(ascii: ":"))
            try body(&self, key)
        } while take(UInt8(ascii: ","))
        try expect(UInt8(ascii: "}"))
    }

    /// Moves past a value of any kind.
    mutating func skip(depth: Int = 0) throws(TokenizerError) {
        guard depth < Self.greatestDepth else { throw malformed("too deeply nested") }
        switch peek() {
        case UInt8(ascii: "{"):
            var key: [UInt8] = []
            try members(&key) { reader, _ throws(TokenizerError) in try reader.skip(depth: depth + 1) }
        case UInt8(ascii: "["):
            try array { reader throws(TokenizerError) in try reader.skip(depth: depth + 1) }
        case UInt8(ascii: "\""):
            try skipString()
        default:
            _ = try JSONValue(&self, depth: depth)
        }
    }

    /// The run of letters, digits and signs that is next: a number, `true`, `false` or `null`.
    mutating func word() throws(TokenizerError) -> String {
        _ = peek()
        let start = position
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "E"),
                UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
                position += 1
            default:
                guard position > start else { throw malformed("expected a value") }
                return String(decoding: bytes[start..<position], as: UTF8.self)
            }
        }
        guard position > start else { throw malformed("ends in the middle of a value") }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    /// A whole number that is a token's id.
    mutating func identifier() throws(TokenizerError) -> Int32 {
        _ = peek()
        let start = position
        var value: Int32 = 0
        while position < bytes.count, case let digit = bytes[position] &- 0x30, digit < 10 {
            let (product, overflowed) = value.multipliedReportingOverflow(by: 10)
            let (sum, carried) = product.addingReportingOverflow(Int32(digit))
            guard !overflowed, !carried else { throw malformed("a token id does not fit in 31 bits") }
            value = sum
            position += 1
        }
        guard position > start else { throw malformed("expected a token id, which is a whole number from 0") }
        return value
    }

    /// An error at the current place.
    func malformed(_ what: String) -> TokenizerError {
        TokenizerError("\(what) at byte \(position)")
    }

    /// Moves to the next byte; for the string functions beside this.
    mutating func advance(by count: Int) {
        position += count
    }
}
