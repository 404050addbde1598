/// What a token of a sequence is, for comparing sequences: a token id, or a place in a picture.
///
/// Two sequences with equal keys up to some place have equal keys and values there. Keys of image tokens are made from
/// the picture's digest, so no client can name one, and a picture encoded again has the same ones.
struct TokenKey: Hashable, Sendable {
    private let bits: SIMD2<UInt64>

    /// A text token.
    init(id: Int32) { bits = [0, UInt64(UInt32(bitPattern: id))] }

    /// Token `place` of a picture.
    init(image: ImageKey, place: Int) { bits = image.bits(at: place) }

    /// Both words.
    var words: (UInt64, UInt64) { (bits[0], bits[1]) }

    /// The keys of a prompt's tokens.
    static func keys(of prompt: PreparedPrompt) -> [TokenKey] {
        var keys = prompt.tokenIDs.map(TokenKey.init(id:))
        for span in prompt.images {
            for token in span.tokens(in: span.range) {
                keys[token.index] = TokenKey(image: span.key, place: token.place)
            }
        }
        return keys
    }
}

extension ImageKey {
    /// 128 bits for one of the picture's tokens; never those of a text token, whose first word is zero.
    fileprivate func bits(at place: Int) -> SIMD2<UInt64> {
        // Safe: wrapping, a place only has to change the bits.
        let mixed = (words[2] ^ words[3]) &+ UInt64(truncatingIfNeeded: place) &* 0x9e37_79b9_7f4a_7c15
        return [words[0] | 1, words[1] ^ mixed]
    }
}
