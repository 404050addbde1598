/// What each id of a vocabulary of pieces stands for in output, packed into one array.
struct TokenTexts: Sendable {
    private var pool: [UInt8] = []
    private var ends: [UInt32] = []
    private var areBytes: [Bool] = []

    /// The texts of all ids; none at the byte level, where the vocabulary has them.
    init(_ vocabulary: Vocabulary, _ output: TokenOutput, _ rewritten: [Int32: [UInt8]]) {
        guard output.spelling == .plain else { return }
        for id in 0..<Int32(truncatingIfNeeded: vocabulary.count) {
            let token = rewritten[id].map { $0[...] } ?? vocabulary.bytes(of: id) ?? []
            pool += output.text(of: token)
            ends.append(UInt32(truncatingIfNeeded: pool.count))
            areBytes.append(output.joinsBytes && ByteToken.byte(of: token) != nil)
        }
    }

    /// Whether an id is of one byte.
    func isByte(_ id: Int32) -> Bool { areBytes[Int(id)] }

    /// The text of an id, which must be one.
    subscript(_ id: Int32) -> ArraySlice<UInt8> {
        let start = id == 0 ? 0 : Int(ends[Int(id) - 1])
        return pool[start..<Int(ends[Int(id)])]
    }
}
