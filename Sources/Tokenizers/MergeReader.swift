import JSON

/// Reads merges one by one, as `"a b"` or `["a", "b"]`, into buffers that are used again.
struct MergeReader {
    private var cursor: JSONCursor
    private var left: [UInt8] = []
    private var right: [UInt8] = []
    /// Whether `left` is both parts with a space between them.
    private var isJoined = false
    private let alphabet = ByteAlphabet.bytes

    /// A reader of the array at the cursor.
    init(_ cursor: JSONCursor) throws(TokenizerError) {
        self.cursor = cursor
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

    /// Adds the merge that was read.
    mutating func add(to table: inout MergeTable, rank: UInt32, _ vocabulary: Vocabulary)
        throws(TokenizerError)
    {
        if isJoined { try split(rank: rank) }
        let leftIsLiteral = !ByteAlphabet.decode(&left, with: alphabet)
        let rightIsLiteral = !ByteAlphabet.decode(&right, with: alphabet)
        guard let leftID = vocabulary.id(of: left.span, 0..<left.count, isLiteral: leftIsLiteral),
            let rightID = vocabulary.id(of: right.span, 0..<right.count, isLiteral: rightIsLiteral)
        else { throw TokenizerError("merge \(rank) has a part that is not in the vocabulary") }
        // Bytes never lead to a token outside the byte alphabet.
        guard !leftIsLiteral, !rightIsLiteral else { return }
        left.append(contentsOf: right)
        guard let id = vocabulary.id(of: left.span, 0..<left.count, isLiteral: false) else {
            throw TokenizerError("merge \(rank) makes a token that is not in the vocabulary")
        }
        table.add(leftID, rightID, MergeTable.Merge(rank: rank, id: id))
    }
}
