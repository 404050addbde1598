/// Why a text is not JSON that is taken, and where.
package struct JSONError: Error, Hashable {
    /// The kinds of refusal.
    package enum Kind: Sendable, Hashable {
        case syntax
        case invalidUTF8
        case loneSurrogate
        case tooDeep
        case numberOutOfRange
        /// The key, which its object has had before.
        case duplicateKey(String)
    }

    /// What is wrong.
    package let kind: Kind
    /// Where in the text, in bytes.
    package let offset: Int
    /// The member of the outermost object it lies in, as written.
    package let key: String?
    /// What belongs there, of a syntax error.
    package let expected: String?

    /// An error at `offset`.
    package init(kind: Kind, offset: Int, key: String? = nil, expected: String? = nil) {
        self.kind = kind
        self.offset = offset
        self.key = key
        self.expected = expected
    }

    /// What is wrong and where, in a few words; a duplicate key is the only part of the text that is in it.
    package var problem: String {
        let what =
            switch kind {
            case .syntax: "expected \(expected ?? "something else")"
            case .invalidUTF8: "text that is not UTF-8"
            case .loneSurrogate: "half of a surrogate pair"
            case .tooDeep: "too deeply nested"
            case .numberOutOfRange: "a number out of range"
            case .duplicateKey(let key): "the key \"\(key.prefix(80))\" twice"
            }
        return "\(what) at byte \(offset)"
    }
}
