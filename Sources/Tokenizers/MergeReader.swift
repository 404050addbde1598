import JSON

/// Reads merges one by one, as `"a b"` or `["a", "b"]`, into buffers that are used again.
struct MergeReader {
    private var cursor: JSONCursor
    private var left: [UInt8] = []
    private var right: [UInt8] = []
    /// Whether `left` is both parts with a space between them.
    private var isJoined = false
    private let spelling: TokenSpelling

    /// A merge by ids.
    struct Merge {
        let left: Int32
        let right: Int32
        let result: MergeTable.Merge
    }

    /// What the latest merge makes.
    var joined: [UInt8] { left }

    /// A reader of the array at the cursor.
    init(_ cursor: JSONCursor, _ spelling: TokenSpelling) throws(TokenizerError) {
        self.cursor = cursor
        self.spelling = spelling
        guard self.cursor.peek() == UInt8(ascii: "[") else {
            throw TokenizerError("the model's merges are not an array")
        }
        do throws(JSONError) { try self.cursor.openArray() } catch { throw TokenizerError(error) }
    }

    /// Reads the next merge; false when there is none.
    mutating func next() throws(TokenizerError) -> Bool {
        do throws(JSONError) { return try read() } catch { throw TokenizerError(error) }
    }

    private mutating func read() throws(JSONError) -> Bool {
        guard try cursor.nextElement() else { return false }
        isJoined = cursor.peek() == UInt8(ascii: "\"")
        if isJoined {
            try cursor.string(into: &left)
            return true
        }
        try cursor.expect(UInt8(ascii: "["))
        try cursor.string(into: &left)
        try cursor.expect(UInt8(ascii: ","))
        try cursor.string(into: &right)
        try cursor.expect(UInt8(ascii: "]"))
        return true
    }

    private mutating func split(rank: UInt32) throws(TokenizerError) {
        guard let space = left.firstIndex(of: 0x20), left.lastIndex(of: 0x20) == space else {
            throw TokenizerError("merge \(rank) is not two tokens with a space between them")
        }
        right.removeAll(keepingCapacity: true)
        right.append(contentsOf: left[(space + 1)...])
        left.removeLast(left.count - space)
    }

    /// The merge that was read; nil for one that never happens.
    mutating func merge(rank: UInt32, _ vocabulary: Vocabulary) throws(TokenizerError) -> Merge? {
        if isJoined { try split(rank: rank) }
        let leftIsLiteral = spelling.store(&left)
        let rightIsLiteral = spelling.store(&right)
        guard let leftID = vocabulary.id(of: left.span, 0..<left.count, isLiteral: leftIsLiteral),
            let rightID = vocabulary.id(of: right.span, 0..<right.count, isLiteral: rightIsLiteral)
        else { throw TokenizerError("merge \(rank) has a part that is not in the vocabulary") }
        // Bytes never lead to a token outside the byte alphabet.
        guard !leftIsLiteral, !rightIsLiteral else { return nil }
        left.append(contentsOf: right)
        guard let id = vocabulary.id(of: left.span, 0..<left.count, isLiteral: false) else {
            throw TokenizerError("merge \(rank) makes a token that is not in the vocabulary")
        }
        return Merge(left: leftID, right: rightID, result: MergeTable.Merge(rank: rank, id: id))
    }
}
