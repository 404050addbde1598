/// Decodes base64 strictly (RFC 4648, section 4): the standard alphabet, padded to groups of four, nothing else.
package enum Base64 {
    /// The bytes of `text`; throws `invalidBase64`.
    ///
    /// Takes linear time, and no text decodes to the same bytes as another.
    package static func decode(_ text: [UInt8]) throws(ImageError) -> [UInt8] {
        try decode(text[...])
    }

    /// The same for a part of a text.
    package static func decode(_ text: ArraySlice<UInt8>) throws(ImageError) -> [UInt8] {
        guard text.count.isMultiple(of: 4) else { throw .invalidBase64 }
        let padding = paddingCount(of: text)
        guard padding > 0 else {
            guard let bytes = NativeImageCode.decodeBase64(text) else { throw .invalidBase64 }
            return bytes
        }
        // The last group with "A", which stands for zero bits, in place of the padding.
        let last = text.suffix(4).dropLast(padding) + Array(repeating: UInt8(ascii: "A"), count: padding)
        guard var bytes = NativeImageCode.decodeBase64(text.dropLast(4)),
            let tail = NativeImageCode.decodeBase64(last)
        else { throw .invalidBase64 }
        let kept = 3 - padding
        guard tail.dropFirst(kept).allSatisfy({ $0 == 0 }) else { throw .invalidBase64 }
        bytes += tail.prefix(kept)
        return bytes
    }

    /// How many bytes `text` decodes to, when it is valid; looks at its length and its end only.
    package static func decodedByteCount(of text: ArraySlice<UInt8>) -> Int {
        // Safe: a quarter of the length, times three, is below the length; negative for "==" alone, which is invalid.
        max(0, text.count / 4 * 3 - paddingCount(of: text))
    }

    /// How many of the last two characters are padding.
    private static func paddingCount(of text: ArraySlice<UInt8>) -> Int {
        text.suffix(2).reversed().prefix { $0 == UInt8(ascii: "=") }.count
    }
}
