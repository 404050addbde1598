/// Looking for bytes in bytes.
enum ByteSearch {
    /// Whether `pattern` stands at `position`, before `end`.
    @inline(__always)
    static func stands(_ pattern: [UInt8], at position: Int, in bytes: Span<UInt8>, _ end: Int) -> Bool {
        guard pattern.count <= end - position else { return false }
        for offset in pattern.indices where bytes[position + offset] != pattern[offset] { return false }
        return true
    }

    /// The token with other bytes in place of each `pattern`, which is not empty.
    static func replace(_ pattern: [UInt8], with content: [UInt8], in token: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(token.count)
        var position = 0
        while position < token.count {
            if stands(pattern, at: position, in: token.span, token.count) {
                result += content
                position += pattern.count
            } else {
                result.append(token[position])
                position += 1
            }
        }
        return result
    }
}
