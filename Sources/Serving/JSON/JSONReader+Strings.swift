/// Strings with their escapes.
extension JSONReader {
    /// The string whose opening quote is next.
    mutating func readString() throws(JSONError) -> String {
        offset += 1
        let start = offset
        skipPlainBytes()
        if next == UInt8(ascii: "\"") {
            // The usual case, and the long one (base64): no escape, so no copy but the string's own.
            let string = try validated(text[start..<offset], at: start)
            offset += 1
            return string
        }
        var bytes = Array(text[start..<offset])
        while true {
            guard let byte = next, byte >= 0x20 else { throw error(.syntax) }
            if byte == UInt8(ascii: "\"") { break }
            try readEscape(into: &bytes)
            let plain = offset
            skipPlainBytes()
            bytes += text[plain..<offset]
        }
        let string = try validated(bytes[...], at: start)
        offset += 1
        return string
    }

    /// Stops at a quote, a backslash, a control character or the end.
    private mutating func skipPlainBytes() {
        while offset < text.count {
            let byte = text[offset]
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte < 0x20 { return }
            offset += 1
        }
    }

    private func validated(_ bytes: ArraySlice<UInt8>, at start: Int) throws(JSONError) -> String {
        guard let string = String(validating: bytes, as: UTF8.self) else {
            var failed = self
            failed.offset = start
            throw failed.error(.invalidUTF8)
        }
        return string
    }

    private mutating func readEscape(into bytes: inout [UInt8]) throws(JSONError) {
        offset += 1
        guard let letter = next else { throw error(.syntax) }
        offset += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): bytes.append(letter)
        case UInt8(ascii: "b"): bytes.append(0x08)
        case UInt8(ascii: "f"): bytes.append(0x0c)
        case UInt8(ascii: "n"): bytes.append(0x0a)
        case UInt8(ascii: "r"): bytes.append(0x0d)
        case UInt8(ascii: "t"): bytes.append(0x09)
        case UInt8(ascii: "u"): bytes += try readScalar().utf8
        default: throw error(.syntax)
        }
    }

    /// The character of `\uXXXX`, or of the two that make a surrogate pair; the first `\u` is read.
    private mutating func readScalar() throws(JSONError) -> Character {
        var code = UInt32(try readUnit())
        if 0xd800...0xdbff ~= code {
            guard skip(UInt8(ascii: "\\")), skip(UInt8(ascii: "u")) else { throw error(.loneSurrogate) }
            let low = UInt32(try readUnit())
            guard 0xdc00...0xdfff ~= low else { throw error(.loneSurrogate) }
            // Safe: both are within their ranges of 1,024, so the sum is below 0x110000.
            code = 0x10000 + (code - 0xd800) << 10 + (low - 0xdc00)
        }
        guard let scalar = Unicode.Scalar(code) else { throw error(.loneSurrogate) }
        return Character(scalar)
    }

    private mutating func readUnit() throws(JSONError) -> UInt16 {
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw error(.syntax)
            }
            // Safe: four digits of four bits.
            unit = unit << 4 | UInt16(digit)
            offset += 1
        }
        return unit
    }
}
