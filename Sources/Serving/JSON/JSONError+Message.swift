import JSON

extension JSONError {
    /// A sentence for the client; nothing of the text is in it.
    var message: String {
        switch kind {
        case .syntax, .duplicateKey: "the body is not valid JSON (at byte \(offset))"
        case .invalidUTF8: "the body is not valid UTF-8 (at byte \(offset))"
        case .loneSurrogate: "a string has half of a surrogate pair (at byte \(offset))"
        case .tooDeep: "the body is nested more than \(JSONOptions().maxDepth) levels deep"
        case .numberOutOfRange: "a number is out of range (at byte \(offset))"
        }
    }
}
