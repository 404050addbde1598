/// Names what a model sees of a picture: equal keys mean equal embeddings.
///
/// SHA-256 over the encoded bytes, the preprocessing parameters and the model, each preceded by its length as eight
/// little-endian bytes, so that no two different triples give the same input.
package struct ContentKey: Hashable, Sendable {
    /// The digest, 32 bytes.
    package let bytes: [UInt8]

    /// The key of `encoded` as `preprocessing` (its parameters as text) makes it ready for `model` (its identity).
    package init(encoded: [UInt8], preprocessing: String, model: String) {
        let fields = [encoded, Array(preprocessing.utf8), Array(model.utf8)]
        bytes = NativeImageCode.sha256(fields.flatMap { [Self.length(of: $0), $0] })
    }

    /// The key as 64 hexadecimal digits in lower case.
    package var hexadecimal: String { SHA256.hexadecimal(bytes) }

    private static func length(of field: [UInt8]) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: UInt64(field.count) >> (8 * UInt64($0))) }
    }
}

/// SHA-256 (FIPS 180-4).
package enum SHA256 {
    /// The digest of `bytes`, 32 bytes.
    package static func digest(of bytes: [UInt8]) -> [UInt8] { NativeImageCode.sha256([bytes]) }

    /// Two lower-case digits a byte.
    package static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
