/// `▁` (U+2581), with which vocabularies of pieces write a space.
enum SpaceMark {
    /// Its UTF-8.
    static let bytes: [UInt8] = [0xE2, 0x96, 0x81]

    /// Whether it stands at `position`.
    @inline(__always)
    static func stands(at position: Int, in bytes: Span<UInt8>, end: Int) -> Bool {
        position + 3 <= end && bytes[position] == 0xE2 && bytes[position + 1] == 0x96
            && bytes[position + 2] == 0x81
    }

    /// Where the word at `start` ends: before the next mark that follows another scalar.
    @inline(__always)
    static func endOfWord(from start: Int, in bytes: Span<UInt8>, end: Int) -> Int {
        var position = start
        while stands(at: position, in: bytes, end: end) { position += 3 }
        while position < end, !stands(at: position, in: bytes, end: end) { position += 1 }
        return position
    }

    /// Whether a mark follows another scalar, in which case text may not be cut before marks.
    static func isInside(_ token: ArraySlice<UInt8>) -> Bool {
        var bytes = token
        while bytes.starts(with: Self.bytes) { bytes.removeFirst(3) }
        guard bytes.count >= 3 else { return false }
        return bytes.indices.dropLast(2).contains { bytes[$0...].starts(with: Self.bytes) }
    }
}
