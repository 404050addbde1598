extension JSONCursor {
    /// Reads a string into `buffer`, replacing what was there, with escapes resolved; its bytes are not checked.
    package mutating func string(into buffer: inout [UInt8]) throws(JSONError) {
        buffer.removeAll(keepingCapacity: true)
        guard take(UInt8(ascii: "\"")) else { throw syntaxError("a string") }
        try readRest(into: &buffer)
    }

    /// A string.
    package mutating func string() throws(JSONError) -> String {
        guard take(UInt8(ascii: "\"")) else { throw syntaxError("a string") }
        let start = offset
        skipPlainBytes()
        if next == UInt8(ascii: "\"") {
            // The usual case, and the long one (base64): no escape, so no copy but the string's own.
            let string = try validated(bytes[start..<offset], at: start)
            offset += 1
            return string
        }
        var buffer = Array(bytes[start..<offset])
        try readRest(into: &buffer)
        return try validated(buffer[...], at: start)
    }

    /// Moves past a string whose quote is next.
    mutating func skipString() throws(JSONError) {
        offset += 1
        skipPlainBytes()
        if skip(UInt8(ascii: "\"")) { return }
        var scratch: [UInt8] = []
        try readRest(into: &scratch)
    }

    private func validated(_ bytes: ArraySlice<UInt8>, at start: Int) throws(JSONError) -> String {
        guard let string = String(validating: bytes, as: UTF8.self) else {
            throw error(.invalidUTF8, at: start)
        }
        return string
    }

    /// Appends what is left of a string, and moves past its quote.
    private mutating func readRest(into buffer: inout [UInt8]) throws(JSONError) {
        while true {
            let start = offset
            skipPlainBytes()
            buffer.append(contentsOf: bytes[start..<offset])
            switch next {
            case UInt8(ascii: "\""):
                offset += 1
                return
            case UInt8(ascii: "\\"):
                offset += 1
                try readEscape(into: &buffer)
            case nil: throw syntaxError("the end of the string")
            default: throw syntaxError("no control character inside a string")
            }
        }
    }

    /// Stops at a quote, a backslash, a control character or the end.
    private mutating func skipPlainBytes() {
        while let byte = next, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 {
            offset += 1
        }
    }

    private mutating func readEscape(into buffer: inout [UInt8]) throws(JSONError) {
        guard let letter = next else { throw syntaxError("the rest of an escape") }
        offset += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): buffer.append(letter)
        case UInt8(ascii: "b"): buffer.append(0x08)
        case UInt8(ascii: "f"): buffer.append(0x0c)
        case UInt8(ascii: "n"): buffer.append(0x0a)
        case UInt8(ascii: "r"): buffer.append(0x0d)
        case UInt8(ascii: "t"): buffer.append(0x09)
        case UInt8(ascii: "u"):
            buffer.append(contentsOf: UTF8.encode(try readScalar()) ?? UTF8.encodedReplacementCharacter)
        default: throw syntaxError("an escape that JSON has")
        }
    }

    /// The scalar of `\uXXXX`, or of the two that make a surrogate pair; the first `\u` is read.
    private mutating func readScalar() throws(JSONError) -> Unicode.Scalar {
        var code = try readUnit()
        if 0xd800...0xdbff ~= code {
            guard skip(UInt8(ascii: "\\")), skip(UInt8(ascii: "u")) else { throw error(.loneSurrogate) }
            let low = try readUnit()
            guard 0xdc00...0xdfff ~= low else { throw error(.loneSurrogate) }
            // Safe: both are within their ranges of 1,024, so the sum is below 0x110000.
            code = 0x10000 + (code - 0xd800) << 10 + (low - 0xdc00)
        }
        guard let scalar = Unicode.Scalar(code) else { throw error(.loneSurrogate) }
        return scalar
    }

    private mutating func readUnit() throws(JSONError) -> UInt32 {
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Self.hexDigit(byte) else {
                throw syntaxError("four hexadecimal digits")
            }
            // Safe: four digits of four bits.
            unit = unit << 4 | UInt32(digit)
            offset += 1
        }
        return unit
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// Moves past `byte` if it is at the cursor.
    mutating func skip(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        offset += 1
        return true
    }
}
