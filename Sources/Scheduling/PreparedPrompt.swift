/// Names the embeddings of a picture: equal keys mean equal embeddings.
///
/// 256 bits of a SHA-256, never from a client.
package struct ImageKey: Hashable, Sendable {
    let words: SIMD4<UInt64>

    /// Takes the 32 bytes of a digest.
    package init(digest: [UInt8]) {
        precondition(digest.count == 32, "a SHA-256 has 32 bytes")
        var words = SIMD4<UInt64>()
        for (index, byte) in digest.enumerated() { words[index / 8] |= UInt64(byte) << UInt64(index % 8 * 8) }
        self.words = words
    }

    /// The 32 bytes of the digest.
    package var bytes: [UInt8] {
        (0..<32).map { UInt8(truncatingIfNeeded: words[$0 / 8] >> UInt64($0 % 8 * 8)) }
    }
}

/// The image tokens of one picture within a prompt.
package struct ImageSpan: Hashable, Sendable {
    /// The picture's embeddings.
    package let key: ImageKey
    /// Index of its first image token in the prompt.
    package let start: Int
    /// How many image tokens it has.
    package let tokenCount: Int
    /// Image tokens beside one another where they have places in two dimensions; nil where they follow one another as
    /// words do.
    package let columns: Int?

    /// A span of at least one token, in whole rows.
    package init(key: ImageKey, start: Int, tokenCount: Int, columns: Int? = nil) {
        precondition(start >= 0 && tokenCount > 0, "a span holds tokens")
        precondition(columns.map { $0 > 0 && tokenCount.isMultiple(of: $0) } ?? true, "rows are whole")
        self.key = key
        self.start = start
        self.tokenCount = tokenCount
        self.columns = columns
    }

    /// The indices of its tokens.
    package var range: Range<Int> { start..<(start + tokenCount) }
}

/// What a request brings to the engine: token ids, and which of them are image tokens of which picture.
package struct PreparedPrompt: Hashable, Sendable {
    /// All token ids; at an image token the model's context token.
    package let tokenIDs: [Int32]
    /// The pictures in the order of the prompt, without overlap.
    package let images: [ImageSpan]
    /// Whether it may begin with kept keys and values, and leave its own.
    package var usesPrefixCache = true

    /// A prompt whose spans lie within it, in order.
    package init(tokenIDs: [Int32], images: [ImageSpan] = []) {
        var end = 0
        for span in images {
            precondition(
                span.start >= end && span.range.upperBound <= tokenIDs.count, "spans are ordered and inside")
            end = span.range.upperBound
        }
        self.tokenIDs = tokenIDs
        self.images = images
    }

    /// The tokens that are no image tokens, in order.
    func textTokens() -> [Int32] {
        var tokens: [Int32] = []
        var end = 0
        for span in images {
            tokens += tokenIDs[end..<span.start]
            end = span.range.upperBound
        }
        return tokens + tokenIDs[end...]
    }

    /// How many of the tokens are image tokens.
    package var imageTokenCount: Int { images.reduce(0) { $0 + $1.tokenCount } }
}
