extension JSONReader {
    /// Reads a string into `buffer`, replacing what was there, with escapes resolved.
    mutating func string(into buffer: inout [UInt8]) throws(TokenizerError) {
        buffer.removeAll(keepingCapacity: true)
        try expect(UInt8(ascii: "\""))
        while position < bytes.count {
            let byte = bytes[position]
            advance(by: 1)
            switch byte {
            case UInt8(ascii: "\""): return
            case UInt8(ascii: "\\"): try escape(into: &buffer)
            case 0..<0x20: throw malformed("a control character inside a string")
            default: buffer.append(byte)
            }
        }
        throw malformed("ends inside a string")
    }

    /// A string as Swift has it.
    mutating func text() throws(TokenizerError) -> String {
        var buffer: [UInt8] = []
        try string(into: &buffer)
        return String(decoding: buffer, as: UTF8.self)
    }

    /// Moves past a string without resolving its escapes.
    mutating func skipString() throws(TokenizerError) {
        try expect(UInt8(ascii: "\""))
        while position < bytes.count {
            let byte = bytes[position]
            advance(by: 1)
            if byte == UInt8(ascii: "\"") { return }
            if byte == UInt8(ascii: "\\"), position < bytes.count { advance(by: 1) }
        }
        throw malformed("ends inside a string")
    }

    private mutating func escape(into buffer: inout [UInt8]) throws(TokenizerError) {
        guard position < bytes.count else { throw malformed("ends inside a string") }
        let byte = bytes[position]
        advance(by: 1)
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): buffer.append(byte)
        case UInt8(ascii: "b"): buffer.append(0x08)
        case UInt8(ascii: "f"): buffer.append(0x0C)
        case UInt8(ascii: "n"): buffer.append(0x0A)
        case UInt8(ascii: "r"): buffer.append(0x0D)
        case UInt8(ascii: "t"): buffer.append(0x09)
        case UInt8(ascii: "u"): buffer.append(contentsOf: UTF8Scalar.bytes(of: try escapedScalar()))
        default: throw malformed("an unknown escape in a string")
        }
    }

    private mutating func escapedScalar() throws(TokenizerError) -> UInt32 {
        let unit = try hexadecimalUnit()
        guard (0xD800..<0xE000).contains(unit) else { return unit }
        guard unit < 0xDC00, position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
            bytes[position + 1] == UInt8(ascii: "u")
        else { throw malformed("half of a surrogate pair in a string") }
        advance(by: 2)
        let low = try hexadecimalUnit()
        guard (0xDC00..<0xE000).contains(low) else { throw malformed("half of a surrogate pair in a string") }
        return 0x10000 + ((unit - 0xD800) << 10 | (low - 0xDC00))
    }

    private mutating func hexadecimalUnit() throws(TokenizerError) -> UInt32 {
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard position < bytes.count, let digit = Character(UnicodeScalar(bytes[position])).hexDigitValue
            else {
                throw malformed("\\u without four hexadecimal digits")
            }
            unit = unit << 4 | UInt32(digit)
            advance(by: 1)
        }
        return unit
    }
}
