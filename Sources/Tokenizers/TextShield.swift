/// Keeps text from being taken for tokens that it spells: a character that is not for text goes into it.
///
/// `Tokenizer.encode` takes that character out again once the added tokens are found, so that the pieces of the text are what
/// they are without it. A token of one character cannot be shielded from.
package struct TextShield: Sendable {
    private let matcher: AddedTokenMatcher

    /// A shield from `tokens`, by what they are spelled like.
    init(from tokens: [AddedToken]) {
        matcher = AddedTokenMatcher(tokens.map { ($0, Array($0.content.utf8)) })
    }

    /// `text` with `scalar`, which is not in it, behind the first character of every token it spells, and of every one it may
    /// begin to spell at its end, where other text may follow.
    package func applied(to text: String, _ scalar: Unicode.Scalar) -> String {
        let bytes = Array(text.utf8), places = matcher.starts(in: bytes.span)
        guard !places.isEmpty else { return text }
        let mark = Array(String(scalar).utf8)
        var shielded: [UInt8] = []
        shielded.reserveCapacity(bytes.count + places.count * mark.count)
        var next = 0
        for place in places {
            let end = place + UTF8Scalar.read(bytes.span, at: place).length
            shielded += bytes[next..<end] + mark
            next = end
        }
        return String(decoding: shielded + bytes[next...], as: UTF8.self)
    }
}
