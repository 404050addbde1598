import JSON

/// Byte-pair encoding's tables: a vocabulary and the merges that build it up from bytes.
struct BytePairModel: Sendable {
    /// What becomes of a byte that the vocabulary does not have.
    struct Unknown: Sendable {
        /// The id that takes its place.
        let id: Int32
        /// Whether neighbouring unknown bytes share one.
        let isFused: Bool
    }

    /// The tokens.
    var vocabulary: Vocabulary
    /// The merges.
    let merges: MergeTable
    /// The id of each byte; −1 if there is none.
    let byteIDs: [Int32]
    /// What stands for unknown bytes; nil if they are left out.
    let unknown: Unknown?
    /// Whether a piece that is a token is that token, whatever the merges would make of it.
    let ignoresMerges: Bool
    /// Ids that the model does not produce, since they belong to added tokens alone.
    var outsideModel: Set<Int32> = []

    /// Reads `model`, whose vocabulary and merges stand at the given places of the text.
    init(_ settings: JSONValue, _ json: [UInt8], vocabularyAt: Int?, mergesAt: Int?) throws(TokenizerError) {
        try Self.check(settings)
        guard let vocabularyAt, let mergesAt else {
            throw TokenizerError("the model lacks its vocab or its merges")
        }
        let vocabulary = try Self.readVocabulary(json, at: vocabularyAt)
        merges = try Self.readMerges(json, at: mergesAt, vocabulary)
        byteIDs = (UInt8.min...UInt8.max).map { byte in
            let bytes = [byte]
            return vocabulary.id(of: bytes.span, 0..<1, isLiteral: false) ?? -1
        }
        ignoresMerges = try settings["ignore_merges"].flag(false, "ignore_merges")
        unknown = try Self.unknown(settings, vocabulary, hasEveryByte: !byteIDs.contains(-1))
        self.vocabulary = vocabulary
    }

    private static func check(_ settings: JSONValue) throws(TokenizerError) {
        let type = settings["type"].string ?? "BPE"
        guard type == "BPE" else { throw TokenizerError("the model \"\(type)\" is not supported; BPE is") }
        if try settings["byte_fallback"].flag(false, "byte_fallback") {
            throw TokenizerError("the model uses byte_fallback, which is not supported")
        }
        for name in ["continuing_subword_prefix", "end_of_word_suffix"]
        where settings[name].string ?? "" != "" {
            throw TokenizerError("the model has a \(name), which is not supported")
        }
        if let dropout = settings["dropout"].double, dropout != 0 {
            throw TokenizerError("the model has dropout, which is not supported")
        }
    }

    private static func unknown(
        _ settings: JSONValue, _ vocabulary: Vocabulary, hasEveryByte: Bool
    ) throws(TokenizerError) -> Unknown? {
        guard !hasEveryByte, let token = settings["unk_token"].string else { return nil }
        var bytes = Array(token.utf8)
        let isLiteral = !ByteAlphabet.decode(&bytes, with: ByteAlphabet.bytes)
        guard let id = vocabulary.id(of: bytes.span, 0..<bytes.count, isLiteral: isLiteral) else {
            throw TokenizerError("the model's unk_token is not in its vocabulary")
        }
        return Unknown(id: id, isFused: try settings["fuse_unk"].flag(false, "fuse_unk"))
    }

    private static func readVocabulary(_ json: [UInt8], at position: Int) throws(TokenizerError) -> Vocabulary
    {
        // A member takes about fifteen bytes.
        var vocabulary = Vocabulary(expected: min(json.count / 40, 200_000))
        let alphabet = ByteAlphabet.bytes
        var reader = try VocabularyReader(JSONCursor(json, at: position))
        while let id = try reader.next() {
            var bytes = reader.token
            let isLiteral = !ByteAlphabet.decode(&bytes, with: alphabet)
            try vocabulary.add(bytes, isLiteral: isLiteral, id: id)
        }
        return vocabulary
    }

    private static func readMerges(
        _ json: [UInt8], at position: Int, _ vocabulary: Vocabulary
    ) throws(TokenizerError) -> MergeTable {
        var table = MergeTable(expected: vocabulary.size * 2)
        var reader = try MergeReader(JSONCursor(json, at: position))
        var rank: UInt32 = 0
        while try reader.next() {
            try reader.add(to: &table, rank: rank, vocabulary)
            rank += 1
        }
        return table
    }
}
