import JSON

/// Cuts text into the pieces that the model encodes one by one.
///
/// It is a list of stages, each of which cuts the pieces of the one before.
struct PreTokenizer: Sendable {
    /// A stage.
    enum Stage: Sendable, Equatable {
        /// The matches of a pattern.
        case pattern(SplitPattern)
        /// Numeric scalars apart from all others, and each on its own if so wanted.
        case digits(eachAlone: Bool)
        /// A space in front of every piece that has none there.
        case leadingSpace
        /// Marks for spaces.
        case metaspace(Metaspace)
        /// White space left out, and what is between it.
        case whiteSpaceRemoved
        /// Pieces that end behind a space.
        case endingInSpace
    }

    /// The stages in their order.
    private(set) var stages: [Stage] = []

    /// How the model spells its tokens.
    private(set) var spelling = TokenSpelling.plain

    /// The pre-tokenizer with those stages.
    init(_ stages: [Stage], spelling: TokenSpelling) {
        self.stages = stages
        self.spelling = spelling
    }

    /// Reads `pre_tokenizer`.
    init(_ value: JSONValue) throws(TokenizerError) { try add(value) }

    private mutating func add(_ value: JSONValue) throws(TokenizerError) {
        guard !value.isNull else { return }
        let type = value["type"].string ?? ""
        guard spelling == .plain else {
            throw TokenizerError(
                "the pre_tokenizer has a stage \"\(type)\" after ByteLevel, which is not supported")
        }
        switch type {
        case "Sequence":
            for stage in value["pretokenizers"].array ?? [] { try add(stage) }
        case "Split":
            if value["pattern"]["String"].string == " ", value["behavior"].string == "MergedWithPrevious",
                try !value["invert"].flag(false, "invert")
            {
                stages.append(.endingInSpace)
            } else {
                stages.append(.pattern(try Self.split(value)))
            }
        case "Digits":
            stages.append(.digits(eachAlone: try value["individual_digits"].flag(false, "individual_digits")))
        case "ByteLevel":
            if try value["add_prefix_space"].flag(true, "add_prefix_space") { stages.append(.leadingSpace) }
            if try value["use_regex"].flag(true, "use_regex") { stages.append(.pattern(.gpt2)) }
            spelling = .byteLevel
        case "Metaspace": stages.append(.metaspace(try Metaspace(value)))
        case "WhitespaceSplit": stages.append(.whiteSpaceRemoved)
        default:
            throw TokenizerError(
                "the pre_tokenizer \"\(type)\" is not supported; "
                    + "Split, Digits, ByteLevel, Metaspace, WhitespaceSplit and Sequence are")
        }
    }

    private static func split(_ value: JSONValue) throws(TokenizerError) -> SplitPattern {
        guard let regex = value["pattern"]["Regex"].string else {
            throw TokenizerError("the pre_tokenizer Split has no Regex pattern")
        }
        guard let pattern = SplitPattern(regex) else {
            throw TokenizerError("the pre_tokenizer Split has a pattern that is not known: \(regex)")
        }
        // The known patterns match everything, so that pieces are the matches in both of these.
        let behavior = value["behavior"].string ?? ""
        let isInverted = try value["invert"].flag(false, "invert")
        guard behavior == "Isolated" || (behavior == "Removed" && isInverted) else {
            throw TokenizerError(
                "the pre_tokenizer Split has the behavior \"\(behavior)\"; only Isolated is supported")
        }
        return pattern
    }
}
