/// Remembers the ids of short words: one place for each hash, where the latest word stays.
struct WordCache: Sendable {
    /// The longest word that is remembered, in bytes.
    static let longestWord = 15
    /// The most ids that are remembered of a word.
    static let mostIDs = 3

    /// A word's bytes and, above them, its length; 0 is no word.
    struct Key: Equatable, Sendable {
        var low: UInt64 = 0
        var high: UInt64 = 0
    }

    /// A word and its ids.
    struct Entry: Sendable {
        var key = Key()
        var first: Int32 = 0
        var second: Int32 = 0
        var third: Int32 = 0
        var count: Int32 = 0
    }

    private static let indexBits = 15
    private var entries = [Entry](repeating: Entry(), count: 1 << indexBits)

    /// The key of a word of 1 to 15 bytes.
    @inline(__always)
    static func key(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Key {
        var key = Key(low: 0, high: UInt64(range.count) << 56)
        var shift: UInt64 = 0
        for index in range {
            if shift < 64 {
                key.low |= UInt64(bytes[index]) << shift
            } else {
                key.high |= UInt64(bytes[index]) << (shift - 64)
            }
            shift += 8
        }
        return key
    }

    /// Where a key's entry would be.
    @inline(__always)
    static func index(of key: Key) -> Int {
        let mixed = (key.low ^ (key.high &* 0xff51_afd7_ed55_8ccd)) &* 0x9e37_79b9_7f4a_7c15
        return Int(truncatingIfNeeded: mixed >> UInt64(64 - indexBits))
    }

    /// The entry at an index, which may be of another word.
    subscript(_ index: Int) -> Entry {
        @inline(__always) get { entries[index] }
    }

    /// Remembers a word's ids, if they are few.
    mutating func store(_ ids: ArraySlice<Int32>, _ key: Key, at index: Int) {
        guard !ids.isEmpty, ids.count <= Self.mostIDs else { return }
        let start = ids.startIndex
        entries[index] = Entry(
            key: key, first: ids[start], second: ids.count > 1 ? ids[start + 1] : 0,
            third: ids.count > 2 ? ids[start + 2] : 0, count: Int32(truncatingIfNeeded: ids.count))
    }
}
