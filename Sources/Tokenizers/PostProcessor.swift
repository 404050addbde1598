import JSON

/// The ids put round an encoded text when special tokens are asked for.
struct PostProcessor: Sendable {
    /// Ids before the text.
    private(set) var prefix: [Int32] = []
    /// Ids after the text.
    private(set) var suffix: [Int32] = []

    /// These ids round every text.
    init(prefix: [Int32] = [], suffix: [Int32] = []) {
        self.prefix = prefix
        self.suffix = suffix
    }

    /// Reads `post_processor`.
    init(_ value: JSONValue) throws(TokenizerError) {
        try add(value)
    }

    private mutating func add(_ value: JSONValue) throws(TokenizerError) {
        guard !value.isNull else { return }
        let type = value["type"].string ?? ""
        switch type {
        case "ByteLevel": return
        case "Sequence":
            for processor in value["processors"].array ?? [] { try add(processor) }
        case "TemplateProcessing":
            try addTemplate(value)
        default:
            throw TokenizerError(
                "the post_processor \"\(type)\" is not supported; TemplateProcessing, ByteLevel and Sequence are"
            )
        }
    }

    private mutating func addTemplate(_ value: JSONValue) throws(TokenizerError) {
        var before: [Int32] = []
        var after: [Int32] = []
        var textCount = 0
        for piece in value["single"].array ?? [] {
            if let name = piece["SpecialToken"]["id"].string {
                let ids = try Self.ids(of: name, in: value["special_tokens"])
                if textCount == 0 { before += ids } else { after += ids }
            } else if piece["Sequence"]["id"].string == "A" {
                textCount += 1
            } else {
                throw TokenizerError("the post_processor's template has a piece that is not supported")
            }
        }
        guard textCount == 1 else {
            throw TokenizerError("the post_processor's template does not have the text exactly once")
        }
        prefix = before + prefix
        suffix += after
    }

    private static func ids(of name: String, in tokens: JSONValue) throws(TokenizerError) -> [Int32] {
        guard let values = tokens[name]["ids"].array else {
            throw TokenizerError("the post_processor's template names a token without ids: \(name)")
        }
        var ids: [Int32] = []
        for value in values {
            guard let id = value.identifier, id >= 0 else {
                throw TokenizerError("the post_processor has a token id that is none: \(name)")
            }
            ids.append(id)
        }
        return ids
    }
}
