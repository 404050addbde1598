import JSON

/// Why a tokenizer's files cannot be used.
package struct TokenizerError: Error, Sendable, CustomStringConvertible {
    /// What is wrong.
    private let problem: String
    /// The file it is wrong in.
    private let file: String

    /// What is wrong and where, for the person who installed the file.
    package var message: String { "\(file): \(problem)" }

    /// The message.
    package var description: String { message }

    /// An error with that message.
    init(_ problem: String, file: String = "tokenizer.json") {
        self.problem = problem
        self.file = file
    }

    /// The file is not JSON.
    init(_ error: JSONError, file: String = "tokenizer.json") {
        self.init(error.problem, file: file)
    }

    /// The same error of another file.
    func inFile(_ file: String) -> TokenizerError { TokenizerError(problem, file: file) }
}
