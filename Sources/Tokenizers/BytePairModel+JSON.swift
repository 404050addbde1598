import JSON

extension BytePairModel {
    /// Reads `model`, whose vocabulary and merges stand at the given places of the text.
    ///
    /// Merges never make a `special` token, so that text which spells one stays text.
    init(
        _ settings: JSONValue, _ json: [UInt8], vocabularyAt: Int?, mergesAt: Int?, spelling: TokenSpelling,
        special: Set<Int32>
    ) throws(TokenizerError) {
        try Self.check(settings)
        guard let vocabularyAt, let mergesAt else {
            throw TokenizerError("the model lacks its vocab or its merges")
        }
        let vocabulary = try Self.readVocabulary(json, at: vocabularyAt, spelling)
        let merges = try Self.readMerges(json, at: mergesAt, vocabulary, spelling, special)
        let fallsBack = try settings["byte_fallback"].flag(false, "byte_fallback")
        let byteIDs: [Int32] = (UInt8.min...UInt8.max).map { byte in
            switch spelling {
            case .byteLevel: vocabulary.id(of: [byte]) ?? -1
            case .plain: fallsBack ? vocabulary.id(of: ByteToken.spelling(of: byte)) ?? -1 : -1
            }
        }
        self.init(spelling: spelling, vocabulary: vocabulary, merges: merges.table, byteIDs: byteIDs)
        ignoresMerges = try settings["ignore_merges"].flag(false, "ignore_merges")
        switch spelling {
        case .byteLevel:
            guard !fallsBack || !byteIDs.contains(-1) else {
                throw TokenizerError("the model is at the byte level, but has no token for some bytes")
            }
            if byteIDs.contains(-1) { unknown = try Self.unknown(settings, vocabulary, spelling) }
        case .plain:
            unknown = try Self.unknown(settings, vocabulary, spelling)
            for id in 0..<Int32(truncatingIfNeeded: vocabulary.count) where !special.contains(id) {
                guard let token = vocabulary.bytes(of: id) else { continue }
                scalars.add(token, id: id)
            }
            isCutAtMarks = !merges.crossMarks && !ignoresMerges && scalars[0x2581] >= 0
        }
    }

    private static func check(_ settings: JSONValue) throws(TokenizerError) {
        for name in ["continuing_subword_prefix", "end_of_word_suffix"]
        where settings[name].string ?? "" != "" {
            throw TokenizerError("the model has a \(name), which is not supported")
        }
        if let dropout = settings["dropout"].double, dropout != 0 {
            throw TokenizerError("the model has dropout, which is not supported")
        }
    }

    private static func unknown(
        _ settings: JSONValue, _ vocabulary: Vocabulary, _ spelling: TokenSpelling
    ) throws(TokenizerError) -> Unknown? {
        guard let token = settings["unk_token"].string else { return nil }
        var bytes = Array(token.utf8)
        let isLiteral = spelling.store(&bytes)
        guard let id = vocabulary.id(of: bytes, isLiteral: isLiteral) else {
            throw TokenizerError("the model's unk_token is not in its vocabulary")
        }
        return Unknown(id: id, isFused: try settings["fuse_unk"].flag(false, "fuse_unk"))
    }

    private static func readVocabulary(
        _ json: [UInt8], at position: Int, _ spelling: TokenSpelling
    ) throws(TokenizerError) -> Vocabulary {
        // A member takes about fifteen bytes.
        var vocabulary = Vocabulary(expected: min(json.count / 40, 200_000))
        var reader = try VocabularyReader(JSONCursor(json, at: position))
        while let id = try reader.next() {
            var bytes = reader.token
            let isLiteral = spelling.store(&bytes)
            try vocabulary.add(bytes, isLiteral: isLiteral, id: id)
        }
        return vocabulary
    }

    /// The merges, and whether one makes a token with a space mark behind another scalar.
    private static func readMerges(
        _ json: [UInt8], at position: Int, _ vocabulary: Vocabulary, _ spelling: TokenSpelling,
        _ special: Set<Int32>
    ) throws(TokenizerError) -> (table: MergeTable, crossMarks: Bool) {
        var table = MergeTable(expected: vocabulary.size * 2)
        var reader = try MergeReader(JSONCursor(json, at: position), spelling)
        var rank: UInt32 = 0
        var crossMarks = false
        while try reader.next() {
            if let merge = try reader.merge(rank: rank, vocabulary), !special.contains(merge.result.id) {
                table.add(merge.left, merge.right, merge.result)
                if spelling == .plain { crossMarks = crossMarks || SpaceMark.isInside(reader.joined[...]) }
            }
            rank += 1
        }
        return (table, crossMarks)
    }
}
