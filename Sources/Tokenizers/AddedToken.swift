import JSON

/// A token that is found in the text itself, before the pipeline sees it.
package struct AddedToken: Sendable {
    /// The token's id.
    package let id: Int32
    /// The text that it stands for.
    package let content: String
    /// Whether it is a control token, which decoding may leave out.
    package let isSpecial: Bool
    /// Whether it is found only where no word touches it.
    package let isSingleWord: Bool
    /// Whether it swallows the white space before it.
    package let stripsLeft: Bool
    /// Whether it swallows the white space after it.
    package let stripsRight: Bool
    /// Whether it is looked for in normalized text.
    package let isNormalized: Bool

    /// A token by its parts.
    package init(
        id: Int32, content: String, isSpecial: Bool, isSingleWord: Bool = false, stripsLeft: Bool = false,
        stripsRight: Bool = false, isNormalized: Bool = false
    ) {
        self.id = id
        self.content = content
        self.isSpecial = isSpecial
        self.isSingleWord = isSingleWord
        self.stripsLeft = stripsLeft
        self.stripsRight = stripsRight
        self.isNormalized = isNormalized
    }

    /// Reads an element of `added_tokens`.
    init(_ value: JSONValue) throws(TokenizerError) {
        guard let content = value["content"].string, let id = value["id"].identifier, id >= 0 else {
            throw TokenizerError("an added token lacks its id or its content")
        }
        self.id = id
        self.content = content
        isSpecial = try value["special"].flag(false, "special")
        isSingleWord = try value["single_word"].flag(false, "single_word")
        stripsLeft = try value["lstrip"].flag(false, "lstrip")
        stripsRight = try value["rstrip"].flag(false, "rstrip")
        isNormalized = try value["normalized"].flag(!isSpecial, "normalized")
    }
}
