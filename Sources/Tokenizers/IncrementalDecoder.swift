/// Turns token ids into text as they come, and never ends inside a character.
///
/// All that it returns, put together, is what `Tokenizer.decode` makes of all the ids.
package struct IncrementalDecoder: Sendable {
    private let tokenizer: Tokenizer
    private let skipSpecialTokens: Bool
    private var assembly: TextAssembly

    /// A decoder before its first token.
    package init(_ tokenizer: Tokenizer, skipSpecialTokens: Bool) {
        self.tokenizer = tokenizer
        self.skipSpecialTokens = skipSpecialTokens
        assembly = tokenizer.makeAssembly()
    }

    /// Takes the next id and returns the UTF-8 that is now complete, perhaps none.
    package mutating func append(_ id: Int32) -> [UInt8] {
        var output: [UInt8] = []
        tokenizer.append(id, skipSpecialTokens: skipSpecialTokens, to: &assembly, &output)
        return output
    }

    /// Returns what was held back, as U+FFFD; the decoder may then begin a new text.
    package mutating func finish() -> [UInt8] {
        var output: [UInt8] = []
        assembly.finish(&output)
        assembly = tokenizer.makeAssembly()
        return output
    }
}
