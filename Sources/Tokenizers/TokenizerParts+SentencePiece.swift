extension TokenizerParts {
    /// Makes the stages of a `tokenizer.model`.
    ///
    /// An added token takes the place of the piece that has its id. All special tokens are found in the text
    /// itself and left out of the model, so that text which spells one stays text where they are not wanted.
    init(
        sentencePiece file: SentencePieceFile, addedTokens: [AddedToken], options: SentencePieceOptions
    ) throws(TokenizerError) {
        let tokens = Self.allTokens(file, addedTokens, options)
        var vocabulary = Vocabulary(expected: file.pieces.count)
        let replaced = Dictionary(tokens.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        for (index, piece) in file.pieces.enumerated() {
            let id = Int32(truncatingIfNeeded: index)
            let text = replaced[id].map { Array($0.content.utf8) } ?? Array(piece.text)
            try vocabulary.add(text, isLiteral: false, id: id)
        }
        for token in replaced.values.sorted(by: { $0.id < $1.id }) where token.id >= file.pieces.count {
            try vocabulary.add(Array(token.content.utf8), isLiteral: false, id: token.id)
        }
        let pieces = SentencePieceTable(file, vocabulary, replaced: replaced)
        let addsPrefix = options.mark == .asModel ? file.addsPrefix : options.mark == .atStart
        var normalizer = SentencePieceNormalizer(
            prefix: addsPrefix ? (options.mark == .atStart ? .first : .each) : .never,
            removesExtraSpaces: file.removesExtraSpaces, escapesSpaces: file.escapesSpaces,
            characters: file.characters)
        normalizer.symbols = AddedTokenMatcher(pieces.symbols.map { ($0, Array($0.content.utf8)) })
        let opens = addsPrefix || file.removesExtraSpaces
        self.init(
            normalizer: Normalizer([.sentencePiece(normalizer)]),
            preTokenizer: PreTokenizer([], spelling: .plain),
            model: try pieces.model(file),
            output: TokenOutput(
                opening: opens ? .sentencePiece(ofEachToken: file.removesExtraSpaces) : .whole),
            postProcessor: PostProcessor(
                prefix: try Self.ids(options.prefix, vocabulary),
                suffix: try Self.ids(options.suffix, vocabulary)))
        if file.method == .bytePair { symbols = pieces.symbols }
        self.addedTokens = replaced.values.sorted { $0.id < $1.id }
        specialIDs = Set(self.addedTokens.lazy.filter(\.isSpecial).map(\.id))
    }

    /// The given tokens, and the pieces that are special.
    private static func allTokens(
        _ file: SentencePieceFile, _ given: [AddedToken], _ options: SentencePieceOptions
    ) -> [AddedToken] {
        let known = Set(given.map(\.id))
        var tokens = given.filter { $0.id >= 0 && !$0.content.isEmpty }
        for (index, piece) in file.pieces.enumerated() where !known.contains(Int32(truncatingIfNeeded: index))
        {
            guard piece.kind != .byte else { continue }
            let text = String(decoding: piece.text, as: UTF8.self)
            if piece.kind == .control || piece.kind == .unknown || options.special.contains(text) {
                tokens.append(
                    AddedToken(id: Int32(truncatingIfNeeded: index), content: text, isSpecial: true))
            }
        }
        return tokens
    }

    private static func ids(_ tokens: [String], _ vocabulary: Vocabulary) throws(TokenizerError) -> [Int32] {
        var ids: [Int32] = []
        for token in tokens {
            guard let id = vocabulary.id(of: Array(token.utf8)) else {
                throw TokenizerError(
                    "the token \(token), which belongs round every text, is not in the vocabulary")
            }
            ids.append(id)
        }
        return ids
    }
}
