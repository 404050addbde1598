/// A picture inside a URL: `data:image/<type>;base64,<payload>` (RFC 2397, of which no more than this is accepted).
package struct DataURL: Sendable, Hashable {
    /// The type the client claims, in lower case; the bytes decide.
    package let mediaType: String
    /// The encoded picture.
    package let bytes: [UInt8]

    /// Whether `text` begins with `data:` in any case, and so is this type's to parse.
    package static func matches(_ text: [UInt8]) -> Bool {
        lowercased(text.prefix(5)).elementsEqual("data:".utf8)
    }

    /// Parses and decodes `text`; throws `invalidDataURL`, `invalidBase64`, `empty`, or `tooManyBytes` before decoding.
    package init(parsing text: [UInt8], limits: ImageLimits = ImageLimits()) throws(ImageError) {
        guard Self.matches(text) else { throw .invalidDataURL }
        // A type is at most 127 characters, so a comma much further on is not its end.
        guard let comma = text.prefix(160).firstIndex(of: UInt8(ascii: ",")) else { throw .invalidDataURL }
        let head = Self.lowercased(text[5..<comma])
        let ending = Array(";base64".utf8)
        guard head.suffix(ending.count) == ending[...] else { throw .invalidDataURL }
        let type = head.dropLast(ending.count)
        guard type.starts(with: "image/".utf8), type.count > 6,
            type.dropFirst(6).allSatisfy(Self.isTypeCharacter)
        else { throw .invalidDataURL }
        let payload = text[(comma + 1)...]
        let byteCount = Base64.decodedByteCount(of: payload)
        guard byteCount <= limits.maxByteCount else {
            throw .tooManyBytes(count: byteCount, limit: limits.maxByteCount)
        }
        mediaType = String(decoding: type, as: UTF8.self)
        bytes = try Base64.decode(payload)
        guard !bytes.isEmpty else { throw .empty }
    }

    /// Letters, digits and the marks of registered types (RFC 6838, section 4.2).
    private static func isTypeCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"): true
        default: false
        }
    }

    private static func lowercased(_ text: ArraySlice<UInt8>) -> [UInt8] {
        text.map { UInt8(ascii: "A")...UInt8(ascii: "Z") ~= $0 ? $0 | 0x20 : $0 }
    }
}
