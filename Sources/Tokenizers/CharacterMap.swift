/// A SentencePiece model's map of characters to their normal forms.
///
/// The keys are a double array of 32-bit units (https://github.com/s-yata/darts-clone), the values texts that
/// end in a zero byte.
struct CharacterMap: Sendable {
    /// Longer values are refused, so that time stays linear in the text.
    private static let longestValue = 1024

    private let units: [UInt32]
    private let values: [UInt8]

    /// Reads `precompiled_charsmap`; nil if it is malformed.
    init?(_ blob: ArraySlice<UInt8>) {
        guard blob.count > 4 else { return nil }
        let size = Int(Self.word(blob, at: blob.startIndex))
        guard size >= 4, size % 4 == 0, size <= blob.count - 4 else { return nil }
        let start = blob.startIndex + 4
        units = stride(from: start, to: start + size, by: 4).map { Self.word(blob, at: $0) }
        values = Array(blob[(start + size)...])
        guard values.last == 0, (try? UTF8Span(validating: values.span)) != nil else { return nil }
    }

    /// What the longest key at the start of `bytes[range]` becomes, and where it ends.
    func longestMatch(_ bytes: Span<UInt8>, _ range: Range<Int>) -> (text: [UInt8], end: Int)? {
        var match: (value: Int, end: Int)?
        var node = Self.offset(units[0])
        var position = range.lowerBound
        while position < range.upperBound {
            let byte = UInt32(bytes[position])
            node ^= Int(byte)
            // The label of an inner unit is a byte; that of a leaf has its highest bit set.
            guard node < units.count, units[node] & 0x8000_00FF == byte else { break }
            position += 1
            let unit = units[node]
            node ^= Self.offset(unit)
            guard node < units.count else { break }
            if (unit >> 8) & 1 == 1 { match = (Int(units[node] & 0x7FFF_FFFF), position) }
        }
        guard let match, match.value < values.count else { return nil }
        // A key that ends inside a character is none.
        guard match.end == range.upperBound || bytes[match.end] & 0xC0 != 0x80 else { return nil }
        let text = values[match.value...].prefix { $0 != 0 }
        guard text.count <= Self.longestValue, text.first.map({ $0 & 0xC0 != 0x80 }) ?? true else {
            return nil
        }
        return (Array(text), match.end)
    }

    @inline(__always)
    private static func offset(_ unit: UInt32) -> Int { Int((unit >> 10) << ((unit & (1 << 9)) >> 6)) }

    private static func word(_ bytes: ArraySlice<UInt8>, at index: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(bytes[index + $1]) << UInt32($1 * 8) }
    }
}
