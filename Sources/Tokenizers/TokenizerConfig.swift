import JSON

/// What the other JSON files of a checkpoint say of the tokenizer beside them.
struct TokenizerConfig {
    /// Tokens with their ids.
    private(set) var addedTokens: [AddedToken] = []
    /// `tokenizer_class`, empty when it is not given.
    private(set) var tokenizerClass = ""
    /// The rest, for a `tokenizer.model`.
    private(set) var options = SentencePieceOptions()

    private static let names = [
        "bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token",
    ]

    /// Reads the files that there are.
    init(_ read: (String) throws -> [UInt8]?) throws {
        let config = try Self.value("tokenizer_config.json", read)
        let map = try Self.value("special_tokens_map.json", read)
        let added = try Self.value("added_tokens.json", read)
        tokenizerClass = config["tokenizer_class"].string ?? ""
        options.special = Self.specialTexts(config).union(Self.specialTexts(map))
        do throws(TokenizerError) {
            try readOptions(config, map)
        } catch {
            throw error.inFile("tokenizer_config.json")
        }
        try readTokens(config["added_tokens_decoder"], added)
    }

    private mutating func readTokens(_ decoder: JSONValue, _ added: JSONValue) throws {
        var known: Set<Int32> = []
        for (key, value) in decoder.object?.members ?? [] {
            guard let id = Int32(key), id >= 0, let content = value["content"].string else {
                throw TokenizerError("added_tokens_decoder has a token without id or content").inFile(
                    "tokenizer_config.json")
            }
            let isSpecial = value["special"].bool ?? false
            known.insert(id)
            addedTokens.append(
                AddedToken(
                    id: id, content: content, isSpecial: isSpecial || options.special.contains(content),
                    isSingleWord: value["single_word"].bool ?? false,
                    stripsLeft: value["lstrip"].bool ?? false,
                    stripsRight: value["rstrip"].bool ?? false))
        }
        for (content, value) in added.object?.members ?? [] {
            guard let id = value.identifier, id >= 0 else {
                throw TokenizerError("a token has no id").inFile("added_tokens.json")
            }
            guard known.insert(id).inserted else { continue }
            addedTokens.append(
                AddedToken(id: id, content: content, isSpecial: options.special.contains(content)))
        }
    }

    private mutating func readOptions(_ config: JSONValue, _ map: JSONValue) throws(TokenizerError) {
        let type = config["tokenizer_class"].string ?? ""
        let addsStart = try config["add_bos_token"].flag(!type.hasPrefix("T5"), "add_bos_token")
        let addsEnd = try config["add_eos_token"].flag(type.hasPrefix("T5"), "add_eos_token")
        if addsStart, let token = Self.text("bos_token", config, map, or: "<s>") { options.prefix = [token] }
        if addsEnd, let token = Self.text("eos_token", config, map, or: "</s>") { options.suffix = [token] }
        if type.hasPrefix("Llama"), try !config["legacy"].flag(true, "legacy") {
            options.mark = try config["add_prefix_space"].flag(true, "add_prefix_space") ? .atStart : .none
        }
    }

    /// A token's text; nil if it is set to none.
    private static func text(
        _ name: String, _ config: JSONValue, _ map: JSONValue, or assumed: String
    ) -> String? {
        for object in [config, map] where object.object?[name] != nil {
            return object[name].string ?? object[name]["content"].string
        }
        return assumed
    }

    private static func specialTexts(_ value: JSONValue) -> Set<String> {
        let listed = ["additional_special_tokens", "extra_special_tokens"].flatMap { value[$0].array ?? [] }
        let values = names.map { value[$0] } + listed
        return Set(values.compactMap { $0.string ?? $0["content"].string })
    }

    private static func value(_ name: String, _ read: (String) throws -> [UInt8]?) throws -> JSONValue {
        guard let bytes = try read(name) else { return .null }
        do throws(JSONError) {
            return try JSONValue(reading: bytes)
        } catch {
            throw TokenizerError(error, file: name)
        }
    }
}
