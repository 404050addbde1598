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
    /// The indices of its image tokens: ranges in order, between which there may be text.
    package let runs: [Range<Int>]
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
        runs = [start..<(start + tokenCount)]
        self.tokenCount = tokenCount
        self.columns = columns
    }

    /// A span in `runs` of at least one token each, in order, with text between them.
    package init(key: ImageKey, runs: [Range<Int>]) {
        precondition(!runs.isEmpty && runs[0].lowerBound >= 0, "a span holds tokens")
        precondition(runs.allSatisfy { !$0.isEmpty }, "a run holds tokens")
        precondition(
            zip(runs, runs.dropFirst()).allSatisfy { $0.upperBound <= $1.lowerBound }, "runs are ordered")
        self.key = key
        self.runs = runs
        tokenCount = runs.reduce(0) { $0 + $1.count }
        columns = nil
    }

    /// Index of its first image token in the prompt.
    package var start: Int { runs[0].lowerBound }
    /// The indices from its first image token to its last, text between them included.
    package var range: Range<Int> { start..<runs[runs.count - 1].upperBound }

    /// Whether the token at `index` is one of its image tokens.
    func hasToken(at index: Int) -> Bool { runs.contains { $0.contains(index) } }

    /// Its image tokens within `indices`: where each stands, and which of the picture's it is.
    func tokens(in indices: Range<Int>) -> [(index: Int, place: Int)] {
        var tokens: [(index: Int, place: Int)] = []
        var place = 0
        for run in runs {
            for index in run.clamped(to: indices) { tokens.append((index, place + index - run.lowerBound)) }
            place += run.count
        }
        return tokens
    }
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
        for run in images.flatMap(\.runs) {
            tokens += tokenIDs[end..<run.lowerBound]
            end = run.upperBound
        }
        return tokens + tokenIDs[end...]
    }

    /// How many of the tokens are image tokens.
    package var imageTokenCount: Int { images.reduce(0) { $0 + $1.tokenCount } }
}
