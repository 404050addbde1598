import Synchronization

/// The stages of a tokenizer in their order, and the memory that encoding takes.
final class EncodingPipeline: Sendable {
    /// The most encoders that are kept for the next text, each with a cache of 1 MB.
    private static let mostIdleEncoders = 4

    /// The tokens and their merges.
    let model: BytePairModel
    /// The tokens that are found in the text itself.
    let addedTokens: [AddedToken]
    /// The ids of control tokens.
    let specialIDs: Set<Int32>
    private let composes: Bool
    private let preTokenizer: PreTokenizer
    private let postProcessor: PostProcessor
    private let rawMatcher: AddedTokenMatcher
    private let normalizedMatcher: AddedTokenMatcher
    private let classes = UnicodeClasses.table
    /// The output of added tokens that normalization changes.
    private let rewritten: [Int32: [UInt8]]
    private let idle = Mutex<[WordEncoder]>([])

    /// The pipeline that a file describes.
    init(_ file: TokenizerFile) {
        model = file.model
        composes = file.composes
        preTokenizer = file.preTokenizer
        postProcessor = file.postProcessor
        addedTokens = file.addedTokens
        specialIDs = Set(addedTokens.lazy.filter(\.isSpecial).map(\.id))
        let classes = UnicodeClasses.table
        var rewritten: [Int32: [UInt8]] = [:]
        // Special tokens come first, which decides between tokens that normalization makes equal.
        let ordered = addedTokens.filter(\.isSpecial) + addedTokens.filter { !$0.isSpecial }
        rawMatcher = AddedTokenMatcher(
            ordered.filter { !$0.isNormalized }.map { ($0, Array($0.content.utf8)) })
        let normalized = ordered.filter(\.isNormalized).map { token in
            (token: token, spelling: Self.normalForm(of: token, file, classes))
        }
        normalizedMatcher = AddedTokenMatcher(normalized)
        for (token, spelling) in normalized where !spelling.elementsEqual(token.content.utf8) {
            var bytes = spelling
            _ = ByteAlphabet.decode(&bytes, with: ByteAlphabet.bytes)
            rewritten[token.id] = bytes
        }
        self.rewritten = rewritten
    }

    /// The bytes that a token stands for in output; nil for an unknown id.
    ///
    /// As in the reference, an added token passes through the byte alphabet like any other: `Ġ` in it is a space.
    func bytes(of id: Int32) -> ArraySlice<UInt8>? {
        rewritten[id].map { $0[...] } ?? model.vocabulary.bytes(of: id)
    }

    private static func normalForm(
        of token: AddedToken, _ file: TokenizerFile, _ classes: [UnicodeClasses]
    ) -> [UInt8] {
        let bytes = Array(token.content.utf8)
        guard file.composes else { return bytes }
        return Composition.shared.normalize(bytes.span, 0..<bytes.count, classes: classes.span) ?? bytes
    }

    /// The ids of a text, which is UTF-8.
    func encode(_ text: [UInt8], addSpecialTokens: Bool, parseSpecialTokens: Bool) -> [Int32] {
        let classes = classes
        var run = Run(encoder: idle.withLock { $0.popLast() } ?? WordEncoder(), ids: [])
        run.ids.reserveCapacity(text.count / 4 + 8)
        if addSpecialTokens { run.ids.append(contentsOf: postProcessor.prefix) }
        encodeRaw(text.span, classes.span, parseSpecialTokens, &run)
        if addSpecialTokens { run.ids.append(contentsOf: postProcessor.suffix) }
        let encoder = run.encoder
        idle.withLock { if $0.count < Self.mostIdleEncoders { $0.append(encoder) } }
        return run.ids
    }

    /// What one call of `encode` works with.
    private struct Run {
        var encoder: WordEncoder
        var ids: [Int32]
    }

    /// Finds the added tokens of the text as it is; normalizes the text between them.
    private func encodeRaw(
        _ text: Span<UInt8>, _ classes: Span<UnicodeClasses>, _ parseSpecialTokens: Bool, _ run: inout Run
    ) {
        let whole = 0..<text.count
        for segment in rawMatcher.segments(
            text, whole, parseSpecialTokens: parseSpecialTokens, classes: classes)
        {
            if let id = segment.id {
                run.ids.append(id)
            } else if composes,
                let normal = Composition.shared.normalize(text, segment.range, classes: classes)
            {
                encodeNormalized(normal.span, 0..<normal.count, classes, parseSpecialTokens, &run)
            } else {
                encodeNormalized(text, segment.range, classes, parseSpecialTokens, &run)
            }
        }
    }

    /// Finds the added tokens of normalized text; cuts the text between them into pieces.
    private func encodeNormalized(
        _ text: Span<UInt8>, _ range: Range<Int>, _ classes: Span<UnicodeClasses>, _ parseSpecialTokens: Bool,
        _ run: inout Run
    ) {
        guard !normalizedMatcher.isEmpty else { return split(text, range, classes, stage: 0, &run) }
        for segment in normalizedMatcher.segments(
            text, range, parseSpecialTokens: parseSpecialTokens, classes: classes)
        {
            if let id = segment.id {
                run.ids.append(id)
            } else {
                split(text, segment.range, classes, stage: 0, &run)
            }
        }
    }

    /// Cuts a piece at this stage and all that follow, and encodes what results.
    private func split(
        _ text: Span<UInt8>, _ range: Range<Int>, _ classes: Span<UnicodeClasses>, stage: Int,
        _ run: inout Run
    ) {
        guard stage < preTokenizer.stages.count else {
            return run.encoder.encode(text, range, model, into: &run.ids)
        }
        let scanner = PieceScanner(text, end: range.upperBound, classes: classes)
        var start = range.lowerBound
        switch preTokenizer.stages[stage] {
        case .pattern(let pattern):
            while start < range.upperBound {
                let end = scanner.end(of: pattern, from: start)
                split(text, start..<end, classes, stage: stage + 1, &run)
                start = end
            }
        case .digits(let eachAlone):
            while start < range.upperBound {
                var end = scanner.run(of: .numeric, from: start, atMost: eachAlone ? 1 : .max)
                if end == start { end = scanner.run(of: .numeric, isMember: false, from: start) }
                split(text, start..<end, classes, stage: stage + 1, &run)
                start = end
            }
        case .leadingSpace:
            guard text[range.lowerBound] != UInt8(ascii: " ") else {
                return split(text, range, classes, stage: stage + 1, &run)
            }
            var spaced: [UInt8] = [UInt8(ascii: " ")]
            for index in range { spaced.append(text[index]) }
            split(spaced.span, 0..<spaced.count, classes, stage: stage + 1, &run)
        }
    }
}
