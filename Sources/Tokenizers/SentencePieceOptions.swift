/// What a checkpoint says about its `tokenizer.model` in other files.
package struct SentencePieceOptions: Sendable {
    /// Where a mark is put in front of text.
    package enum Mark: Sendable {
        /// Of every text between added tokens, if the model says so.
        case asModel
        /// Of text that nothing is before.
        case atStart
        /// Nowhere.
        case none
    }

    /// Where a mark is put in front of text.
    package var mark = Mark.asModel
    /// Tokens before a text with special tokens.
    package var prefix: [String] = []
    /// Tokens after it.
    package var suffix: [String] = []
    /// Tokens that are special if the model has them.
    package var special: Set<String> = []

    /// No more than the model says.
    package init() {}
}
