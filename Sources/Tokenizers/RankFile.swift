/// A tiktoken file: on each line a token in base64, a space, and its rank, which is its id.
///
/// Neighbours merge to the token of the lowest rank that they spell together.
enum RankFile {
    /// The longest token, in bytes.
    private static let longestToken = 1024

    /// Reads the model.
    static func model(_ bytes: [UInt8]) throws(TokenizerError) -> BytePairModel {
        var vocabulary = Vocabulary(expected: min(bytes.count / 15, 200_000))
        var token: [UInt8] = []
        var position = 0
        var line = 1
        while position < bytes.count {
            let id = try readLine(bytes, &position, &token, line)
            if let id { try vocabulary.add(token, isLiteral: false, id: id) }
            line += 1
        }
        guard vocabulary.count > 0 else { throw TokenizerError("the file has no tokens") }
        let byteIDs = (UInt8.min...UInt8.max).map { vocabulary.id(of: [$0]) ?? -1 }
        guard !byteIDs.contains(-1) else { throw TokenizerError("some bytes have no token") }
        var model = BytePairModel(
            vocabulary: vocabulary, merges: MergeTable(expected: vocabulary.size * 2), byteIDs: byteIDs)
        for id in 0..<Int32(truncatingIfNeeded: vocabulary.count) {
            guard let bytes = vocabulary.bytes(of: id), bytes.count > 1 else { continue }
            addMerges(of: Array(bytes), id, to: &model)
        }
        model.ignoresMerges = true
        return model
    }

    private static func addMerges(of token: [UInt8], _ id: Int32, to model: inout BytePairModel) {
        let merge = MergeTable.Merge(rank: UInt32(bitPattern: id), id: id)
        for split in 1..<token.count {
            guard let left = model.vocabulary.id(of: token.span, 0..<split, isLiteral: false),
                let right = model.vocabulary.id(of: token.span, split..<token.count, isLiteral: false)
            else { continue }
            model.merges.add(left, right, merge)
        }
    }

    /// Reads a line into `token` and returns its rank; nil for an empty line.
    private static func readLine(
        _ bytes: [UInt8], _ position: inout Int, _ token: inout [UInt8], _ line: Int
    ) throws(TokenizerError) -> Int32? {
        let end = bytes[position...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
        var text = bytes[position..<end]
        position = end + 1
        if text.last == UInt8(ascii: "\r") { text.removeLast() }
        guard !text.isEmpty else { return nil }
        guard let space = text.firstIndex(of: UInt8(ascii: " ")),
            let decoded = Base64.decode(text[..<space]), !decoded.isEmpty, decoded.count <= longestToken,
            let rank = rank(text[(space + 1)...])
        else { throw TokenizerError("line \(line) is not a token in base64 and its rank") }
        token = decoded
        return rank
    }

    private static func rank(_ digits: ArraySlice<UInt8>) -> Int32? {
        guard !digits.isEmpty, digits.count <= 9 else { return nil }
        var rank: Int32 = 0
        for digit in digits {
            guard (0x30...0x39).contains(digit) else { return nil }
            rank = rank * 10 + Int32(digit - 0x30)
        }
        return rank
    }
}
