/// The pre-tokenizer patterns in use, each with a scanner written by hand for it.
///
/// No regular expressions run: the patterns are recognised letter by letter.
enum SplitPattern: Sendable, Equatable {
    /// GPT-2's.
    case gpt2
    /// GPT-4's and its descendants': letters take one leading sign with them, digits come in small groups.
    case gpt4(digitsPerGroup: Int, marksAreLetters: Bool)

    /// The pattern spelled so; nil if it is none of the known ones.
    init?(_ regex: String) {
        guard let known = Self.spellings.first(where: { $0.regex.utf8.elementsEqual(regex.utf8) }) else {
            return nil
        }
        self = known.pattern
    }

    private static let spellings: [(regex: String, pattern: Self)] = [
        (
            #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
            .gpt4(digitsPerGroup: 1, marksAreLetters: false)
        ),
        (
            #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
            .gpt4(digitsPerGroup: 3, marksAreLetters: false)
        ),
        (
            #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
            .gpt4(digitsPerGroup: 1, marksAreLetters: true)
        ),
        (
            #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#,
            .gpt2
        ),
        (
            #"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#,
            .gpt2
        ),
    ]
}
