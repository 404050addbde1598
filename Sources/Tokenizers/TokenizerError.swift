import JSON

/// Why a `tokenizer.json` cannot be used.
package struct TokenizerError: Error, Sendable, CustomStringConvertible {
    /// What is wrong and where, for the person who installed the file.
    package let message: String

    /// The message.
    package var description: String { message }

    /// An error with that message.
    init(_ message: String) {
        self.message = "tokenizer.json: " + message
    }

    /// The file is not JSON.
    init(_ error: JSONError) {
        self.init(error.problem)
    }
}
