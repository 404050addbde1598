import JSON

/// A `tokenizer.json`, read into its stages.
struct TokenizerFile {
    /// Whether text is put into NFC first.
    let composes: Bool
    /// Cuts text into pieces.
    let preTokenizer: PreTokenizer
    /// Encodes a piece.
    let model: BytePairModel
    /// What is put round the text.
    let postProcessor: PostProcessor
    /// The added tokens in the order of the file, without repetitions.
    let addedTokens: [AddedToken]

    /// Reads the text of the file.
    init(_ json: [UInt8]) throws(TokenizerError) {
        guard Self.isUTF8(json) else { throw TokenizerError("the file is not UTF-8") }
        let outline = try Outline(json)
        composes = try Self.composes(outline.settings["normalizer"] ?? .null)
        preTokenizer = try PreTokenizer(outline.settings["pre_tokenizer"] ?? .null)
        try Self.checkDecoder(outline.settings["decoder"] ?? .null)
        postProcessor = try PostProcessor(outline.settings["post_processor"] ?? .null)
        var model = try BytePairModel(
            .object(outline.modelSettings), json, vocabularyAt: outline.vocabularyAt,
            mergesAt: outline.mergesAt)
        addedTokens = try Self.addedTokens(outline.settings["added_tokens"] ?? .null, &model)
        self.model = model
    }

    /// What is where in the file.
    private struct Outline {
        var settings = JSONObject()
        var modelSettings = JSONObject()
        var vocabularyAt: Int?
        var mergesAt: Int?

        init(_ json: [UInt8]) throws(TokenizerError) {
            var cursor = JSONCursor(json, options: JSONOptions(maxDepth: 128))
            guard cursor.peek() == UInt8(ascii: "{") else {
                throw TokenizerError("the file is not a JSON object")
            }
            do throws(JSONError) { try read(&cursor) } catch { throw TokenizerError(error) }
        }

        private mutating func read(_ cursor: inout JSONCursor) throws(JSONError) {
            try cursor.openObject()
            while let key = try cursor.nextKey() {
                if key == "model" {
                    try readModel(&cursor)
                } else {
                    settings.set(key, try cursor.value())
                }
            }
            try cursor.end()
        }

        private mutating func readModel(_ cursor: inout JSONCursor) throws(JSONError) {
            try cursor.openObject()
            while let key = try cursor.nextKey() {
                _ = cursor.peek()
                switch key {
                case "vocab":
                    vocabularyAt = cursor.offset
                    try cursor.skip()
                case "merges":
                    mergesAt = cursor.offset
                    try cursor.skip()
                default:
                    modelSettings.set(key, try cursor.value())
                }
            }
        }
    }

    private static func isUTF8(_ bytes: [UInt8]) -> Bool {
        do {
            _ = try UTF8Span(validating: bytes.span)
            return true
        } catch {
            return false
        }
    }

    private static func composes(_ value: JSONValue) throws(TokenizerError) -> Bool {
        guard !value.isNull else { return false }
        let type = value["type"].string ?? ""
        switch type {
        case "NFC": return true
        case "Sequence":
            var composes = false
            for normalizer in value["normalizers"].array ?? [] {
                if try Self.composes(normalizer) { composes = true }
            }
            return composes
        default: throw TokenizerError("the normalizer \"\(type)\" is not supported; NFC is")
        }
    }

    private static func checkDecoder(_ value: JSONValue) throws(TokenizerError) {
        let type = value["type"].string ?? "null"
        if type == "Sequence", let decoders = value["decoders"].array, decoders.count == 1,
            let only = decoders.first
        {
            return try checkDecoder(only)
        }
        guard type == "ByteLevel" else {
            throw TokenizerError("the decoder \"\(type)\" is not supported; ByteLevel is")
        }
    }

    /// Gives each added token its place in the vocabulary; of tokens with equal content the last counts.
    private static func addedTokens(
        _ value: JSONValue, _ model: inout BytePairModel
    ) throws(TokenizerError) -> [AddedToken] {
        var tokens: [AddedToken] = []
        var places: [Int32: Int] = [:]
        let alphabet = ByteAlphabet.bytes
        for element in value.array ?? [] {
            let token = try AddedToken(element)
            var bytes = Array(token.content.utf8)
            guard !bytes.isEmpty else { continue }
            let isLiteral = !ByteAlphabet.decode(&bytes, with: alphabet)
            if let known = model.vocabulary.id(of: bytes.span, 0..<bytes.count, isLiteral: isLiteral) {
                guard known == token.id else {
                    throw TokenizerError(
                        "the added token \(token.content) has the id \(token.id), but \(known) in the vocabulary"
                    )
                }
                if let place = places[known] {
                    tokens[place] = token
                    continue
                }
            } else {
                try model.vocabulary.add(bytes, isLiteral: isLiteral, id: token.id)
                model.outsideModel.insert(token.id)
            }
            places[token.id] = tokens.count
            tokens.append(token)
        }
        return tokens
    }
}
