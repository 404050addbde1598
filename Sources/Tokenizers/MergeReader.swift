/// Reads merges one by one, as `"a b"` or `["a", "b"]`, into buffers that are used again.
struct MergeReader {
    private var left: [UInt8] = []
    private var right: [UInt8] = []
    private let alphabet = ByteAlphabet.bytes

    /// Reads the merge that is next.
    mutating func read(_ reader: inout JSONReader) throws(TokenizerError) {
        if reader.peek() == UInt8(ascii: "\"") {
            try reader.string(into: &left)
            guard let space = left.firstIndex(of: 0x20), left.lastIndex(of: 0x20) == space else {
                throw reader.malformed("a merge is not two tokens with a space between them,")
            }
            right.removeAll(keepingCapacity: true)
            right.append(contentsOf: left[(space + 1)...])
            left.removeLast(left.count - space)
            return
        }
        try reader.expect(UInt8(ascii: "["))
        try reader.string(into: &left)
        try reader.expect(UInt8(ascii: ","))
        try reader.string(into: &right)
        try reader.expect(UInt8(ascii: "]"))
    }

    /// Adds the merge that was read.
    mutating func add(to table: inout MergeTable, rank: UInt32, _ vocabulary: Vocabulary)
        throws(TokenizerError)
    {
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
