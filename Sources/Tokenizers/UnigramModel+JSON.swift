import JSON

extension UnigramModel {
    /// Reads `model`, whose vocabulary stands at the given place of the text.
    ///
    /// The `special` tokens are no pieces, so that text which spells one stays text.
    convenience init(
        _ settings: JSONValue, _ json: [UInt8], vocabularyAt: Int?, special: Set<Int32>
    ) throws(TokenizerError) {
        guard let vocabularyAt else { throw TokenizerError("the model lacks its vocab") }
        let entries: [(token: [UInt8], score: Double)]
        do throws(JSONError) {
            entries = try Self.entries(JSONCursor(json, at: vocabularyAt))
        } catch {
            throw TokenizerError(error)
        }
        guard let unknownID = settings["unk_id"].identifier, entries.indices.contains(Int(unknownID)) else {
            throw TokenizerError("the model's unk_id is none of its ids")
        }
        var vocabulary = Vocabulary(expected: entries.count)
        var pieces: [(id: Int32, score: Double)] = []
        for (index, entry) in entries.enumerated() {
            let id = Int32(truncatingIfNeeded: index)
            try vocabulary.add(entry.token, isLiteral: false, id: id)
            if !special.contains(id) { pieces.append((id, entry.score)) }
        }
        let scores = entries.map(\.score)
        guard let least = scores.min(), let greatest = scores.max(), least <= greatest else {
            throw TokenizerError("the model has no pieces")
        }
        var read = Settings(unknownID: unknownID, scores: least...greatest)
        if try settings["byte_fallback"].flag(false, "byte_fallback") {
            let ids = (UInt8.min...UInt8.max).compactMap { vocabulary.id(of: ByteToken.spelling(of: $0)) }
            guard ids.count == 256 else {
                throw TokenizerError("the model has byte_fallback, but no token for some bytes")
            }
            read.byteIDs = ids
        }
        try self.init(vocabulary: vocabulary, pieces: pieces, winners: [], settings: read)
    }

    /// The elements of `vocab`, each a token and its score.
    private static func entries(_ start: JSONCursor) throws(JSONError) -> [(token: [UInt8], score: Double)] {
        var cursor = start
        var entries: [(token: [UInt8], score: Double)] = []
        var token: [UInt8] = []
        try cursor.openArray()
        while try cursor.nextElement() {
            try cursor.expect(UInt8(ascii: "["))
            try cursor.string(into: &token)
            try cursor.expect(UInt8(ascii: ","))
            entries.append((token, try cursor.value().double ?? .nan))
            try cursor.expect(UInt8(ascii: "]"))
        }
        return entries
    }
}
