import JSON

/// How ids become text: the decoder of a tokenizer.
struct TokenOutput: Sendable {
    /// What is left out where the text begins.
    enum Opening: Sendable, Equatable {
        /// Nothing.
        case whole
        /// So many spaces.
        case spaces(Int)
        /// All marks of the first token.
        case marks
        /// A mark before the first text: one, or one of each token.
        case sentencePiece(ofEachToken: Bool)
    }

    /// How the vocabulary is spelled.
    let spelling: TokenSpelling
    /// What is written in place of parts of a token, in order.
    var replacements: [(pattern: [UInt8], content: [UInt8])] = []
    /// Whether tokens such as `<0x0A>` are bytes.
    var joinsBytes = false
    /// What is left out where the text begins.
    var opening = Opening.whole

    /// Tokens of bytes.
    static let byteLevel = TokenOutput(spelling: .byteLevel)

    private init(spelling: TokenSpelling) { self.spelling = spelling }

    /// Plain pieces with a mark for the space.
    init(opening: Opening) {
        spelling = .plain
        replacements = [(SpaceMark.bytes, [0x20])]
        joinsBytes = true
        self.opening = opening
    }

    /// Reads `decoder`, for a vocabulary of that spelling.
    init(_ value: JSONValue, spelling: TokenSpelling) throws(TokenizerError) {
        self.spelling = spelling
        var steps = Self.flattened(value)[...]
        if spelling == .byteLevel {
            guard steps.count == 1, steps.first?["type"].string == "ByteLevel" else {
                throw TokenizerError("the decoder \"\(Self.name(steps))\" is not supported; ByteLevel is")
            }
            return
        }
        guard !steps.isEmpty else { throw TokenizerError("the decoder \"null\" is not supported") }
        while steps.first?["type"].string == "Replace", let step = steps.popFirst() {
            guard let pattern = step["pattern"]["String"].string, !pattern.isEmpty,
                let content = step["content"].string
            else { throw TokenizerError("the decoder Replace lacks a String or a content") }
            replacements.append((Array(pattern.utf8), Array(content.utf8)))
        }
        if steps.first?["type"].string == "ByteFallback" {
            joinsBytes = true
            steps.removeFirst()
        }
        if steps.first?["type"].string == "Metaspace", let step = steps.popFirst() {
            let metaspace = try Metaspace(step)
            replacements.append((metaspace.mark, [0x20]))
            if metaspace.prefix != .never { opening = .marks }
        } else if steps.first?["type"].string == "Fuse" {
            steps.removeFirst()
            if steps.first?["type"].string == "Strip", let step = steps.popFirst() { try addStrip(step) }
        }
        guard steps.isEmpty else {
            throw TokenizerError(
                "the decoder \"\(Self.name(steps))\" is not supported at its place; Replace, ByteFallback, Fuse and "
                    + "Strip in this order, Metaspace and, at the byte level, ByteLevel are")
        }
    }

    private mutating func addStrip(_ step: JSONValue) throws(TokenizerError) {
        let count = step["start"].int ?? 0
        guard step["content"].string == " ", count >= 0, step["stop"].int ?? 0 == 0 else {
            throw TokenizerError("the decoder Strip takes away something else than spaces at the start")
        }
        if count > 0 { opening = .spaces(count) }
    }

    private static func flattened(_ value: JSONValue) -> [JSONValue] {
        if value.isNull { return [] }
        guard value["type"].string == "Sequence" else { return [value] }
        return (value["decoders"].array ?? []).flatMap(flattened)
    }

    private static func name(_ steps: ArraySlice<JSONValue>) -> String {
        guard let step = steps.first(where: { $0["type"].string != "ByteLevel" }) ?? steps.first else {
            return "null"
        }
        return step["type"].string ?? "null"
    }

    /// What a token stands for, apart from what is left out at the start.
    func text(of token: ArraySlice<UInt8>) -> [UInt8] {
        if joinsBytes, let byte = ByteToken.byte(of: token) { return [byte] }
        return replacements.reduce(Array(token)) { ByteSearch.replace($1.pattern, with: $1.content, in: $0) }
    }

    /// What a token stands for as the first of all.
    func openingText(of token: ArraySlice<UInt8>) -> [UInt8] {
        guard opening == .marks, let last = replacements.last else { return text(of: token) }
        if joinsBytes, let byte = ByteToken.byte(of: token) { return [byte] }
        let text = replacements.dropLast().reduce(Array(token)) {
            ByteSearch.replace($1.pattern, with: $1.content, in: $0)
        }
        return ByteSearch.replace(last.pattern, with: [], in: text)
    }
}
