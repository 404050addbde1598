import JSON

extension TokenizerParts {
    /// Reads the text of a `tokenizer.json`.
    init(json: [UInt8]) throws(TokenizerError) {
        guard Self.isUTF8(json) else { throw TokenizerError("the file is not UTF-8") }
        let outline = try Outline(json)
        let preTokenizer = try PreTokenizer(outline.settings["pre_tokenizer"] ?? .null)
        let spelling = preTokenizer.spelling
        let tokens = try Self.addedTokens(outline.settings["added_tokens"] ?? .null)
        self.init(
            normalizer: try Normalizer(outline.settings["normalizer"] ?? .null), preTokenizer: preTokenizer,
            model: try Self.model(
                outline, json, spelling, special: Set(tokens.filter(\.isSpecial).map(\.id))),
            output: try TokenOutput(outline.settings["decoder"] ?? .null, spelling: spelling),
            postProcessor: try PostProcessor(outline.settings["post_processor"] ?? .null))
        try add(tokens, spelling)
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

    private static func model(
        _ outline: Outline, _ json: [UInt8], _ spelling: TokenSpelling, special: Set<Int32>
    ) throws(TokenizerError) -> TokenModel {
        let type = outline.modelSettings["type"]?.string ?? (outline.mergesAt == nil ? "Unigram" : "BPE")
        switch type {
        case "BPE":
            return .bytePair(
                try BytePairModel(
                    .object(outline.modelSettings), json, vocabularyAt: outline.vocabularyAt,
                    mergesAt: outline.mergesAt, spelling: spelling, special: special))
        case "Unigram":
            guard spelling == .plain else {
                throw TokenizerError("the model is Unigram at the byte level, which is not supported")
            }
            return .unigram(
                try UnigramModel(
                    .object(outline.modelSettings), json, vocabularyAt: outline.vocabularyAt, special: special
                ))
        default: throw TokenizerError("the model \"\(type)\" is not supported; BPE and Unigram are")
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

    private static func addedTokens(_ value: JSONValue) throws(TokenizerError) -> [AddedToken] {
        var tokens: [AddedToken] = []
        for element in value.array ?? [] { tokens.append(try AddedToken(element)) }
        return tokens
    }

    /// Stages with Qwen's pattern round a model of bytes; the special tokens have the ids behind it.
    init(model: BytePairModel, specialTokens: [String]) throws(TokenizerError) {
        self.init(
            normalizer: Normalizer([.compose]),
            preTokenizer: PreTokenizer(
                [.pattern(.gpt4(digitsPerGroup: 1, marksAreLetters: false))], spelling: .byteLevel),
            model: .bytePair(model), output: .byteLevel, postProcessor: PostProcessor())
        let count = Int32(truncatingIfNeeded: model.vocabulary.count)
        let tokens = specialTokens.enumerated().map { place, content in
            AddedToken(id: count + Int32(truncatingIfNeeded: place), content: content, isSpecial: true)
        }
        try add(tokens, .byteLevel)
    }

    /// Gives each added token its place in the vocabulary; of tokens with equal content the last counts.
    private mutating func add(_ tokens: [AddedToken], _ spelling: TokenSpelling) throws(TokenizerError) {
        var places: [Int32: Int] = [:]
        var outside: Set<Int32> = []
        for token in tokens {
            var bytes = Array(token.content.utf8)
            guard !bytes.isEmpty else { continue }
            let isLiteral = spelling.store(&bytes)
            if let known = vocabulary.id(of: bytes.span, 0..<bytes.count, isLiteral: isLiteral) {
                guard known == token.id else {
                    throw TokenizerError(
                        "the added token \(token.content) has the id \(token.id), but \(known) in the vocabulary"
                    )
                }
                if let place = places[known] {
                    addedTokens[place] = token
                    continue
                }
                if token.isSpecial { outside.insert(known) }
            } else {
                try vocabulary.add(bytes, isLiteral: isLiteral, id: token.id)
                outside.insert(token.id)
            }
            places[token.id] = addedTokens.count
            addedTokens.append(token)
        }
        specialIDs = Set(addedTokens.lazy.filter(\.isSpecial).map(\.id))
        guard case .bytePair(var model) = model else { return }
        // A whole word that spells one of these is merged like any other.
        model.outsideModel = outside
        model.vocabulary = vocabulary
        self.model = .bytePair(model)
    }
}
