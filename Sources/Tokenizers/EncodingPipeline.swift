import Synchronization

/// The stages of a tokenizer in their order, and the memory that encoding takes.
final class EncodingPipeline: Sendable {
    /// The most encoders that are kept for the next text, each with a cache of 1 MB.
    private static let mostIdleEncoders = 4

    /// The tokens.
    let vocabulary: Vocabulary
    /// The tokens that are found in the text itself.
    let addedTokens: [AddedToken]
    /// The ids of control tokens.
    let specialIDs: Set<Int32>
    /// How ids become text.
    let output: TokenOutput
    private let normalizer: Normalizer
    private let preTokenizer: PreTokenizer
    private let model: TokenModel
    private let isCutAtMarks: Bool
    private let postProcessor: PostProcessor
    private let rawMatcher: AddedTokenMatcher
    private let normalizedMatcher: AddedTokenMatcher
    private let classes = UnicodeClasses.table
    /// The output of added tokens that normalization changes.
    private let rewritten: [Int32: [UInt8]]
    /// The output of each id of a vocabulary of pieces, and whether it is a single byte.
    private let texts: TokenTexts
    private let idle = Mutex<[WordEncoder]>([])

    /// The pipeline of a tokenizer's parts.
    init(_ parts: TokenizerParts) {
        vocabulary = parts.vocabulary
        normalizer = parts.normalizer
        preTokenizer = parts.preTokenizer
        model = parts.model
        isCutAtMarks = parts.model.isCutAtMarks
        output = parts.output
        postProcessor = parts.postProcessor
        addedTokens = parts.addedTokens
        specialIDs = parts.specialIDs
        let classes = UnicodeClasses.table
        var rewritten: [Int32: [UInt8]] = [:]
        // Special tokens come first, which decides between tokens that normalization makes equal.
        let ordered = addedTokens.filter(\.isSpecial) + addedTokens.filter { !$0.isSpecial }
        rawMatcher = AddedTokenMatcher(
            ordered.filter { !$0.isNormalized }.map { ($0, Array($0.content.utf8)) })
        let normalized = ordered.filter(\.isNormalized).map { token in
            (token: token, spelling: Self.normalForm(of: token, parts.normalizer, classes))
        }
        normalizedMatcher = AddedTokenMatcher(
            normalized + parts.symbols.map { (token: $0, spelling: Array($0.content.utf8)) })
        for (token, spelling) in normalized where !spelling.elementsEqual(token.content.utf8) {
            var bytes = spelling
            _ = output.spelling.store(&bytes)
            rewritten[token.id] = bytes
        }
        self.rewritten = rewritten
        texts = TokenTexts(parts.vocabulary, output, rewritten)
    }

    /// The bytes that a token stands for in output; nil for an unknown id.
    ///
    /// As in the reference, an added token passes through the byte alphabet like any other: `Ġ` in it is a
    /// space.
    func bytes(of id: Int32) -> ArraySlice<UInt8>? {
        guard let spelled = spelling(of: id) else { return nil }
        return output.spelling == .plain ? texts[id] : spelled
    }

    /// A token as the vocabulary has it, or normalization made it; nil for an unknown id.
    func spelling(of id: Int32) -> ArraySlice<UInt8>? {
        rewritten[id].map { $0[...] } ?? vocabulary.bytes(of: id)
    }

    /// Whether a token is one byte, perhaps of a longer character.
    func isByte(_ id: Int32) -> Bool { texts.isByte(id) }

    private static func normalForm(
        of token: AddedToken, _ normalizer: Normalizer, _ classes: [UnicodeClasses]
    ) -> [UInt8] {
        let bytes = Array(token.content.utf8)
        return normalizer.apply(bytes.span, 0..<bytes.count, isFirst: true, classes: classes.span)?.bytes
            ?? bytes
    }

    /// The ids of a text, which is UTF-8, from whose pieces between added tokens `shield` is taken out.
    func encode(
        _ text: [UInt8], addSpecialTokens: Bool, parseSpecialTokens: Bool, shield: [UInt8]? = nil
    ) -> [Int32] {
        let classes = classes
        var run = Run(encoder: idle.withLock { $0.popLast() } ?? WordEncoder(), ids: [], shield: shield)
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
        let shield: [UInt8]?
        /// Where a piece starts that no other text is before; nil if none does.
        var firstStart: Int?
    }

    /// Finds the added tokens of the text as it is; normalizes the text between them.
    private func encodeRaw(
        _ text: Span<UInt8>, _ classes: Span<UnicodeClasses>, _ parseSpecialTokens: Bool, _ run: inout Run
    ) {
        let whole = 0..<text.count
        for segment in rawMatcher.segments(
            text, whole, parseSpecialTokens: parseSpecialTokens, classes: classes)
        {
            let isFirst = segment.range.lowerBound == 0
            if let id = segment.id {
                run.ids.append(id)
            } else if Self.isShield(run.shield, text, segment.range) {
                continue
            } else if let normal = normalizer.apply(text, segment.range, isFirst: isFirst, classes: classes) {
                run.firstStart = isFirst && normal.keepsStart ? 0 : nil
                encodeNormalized(normal.bytes.span, 0..<normal.bytes.count, classes, parseSpecialTokens, &run)
            } else {
                run.firstStart = isFirst ? 0 : nil
                encodeNormalized(text, segment.range, classes, parseSpecialTokens, &run)
            }
        }
    }

    /// Finds the added tokens of normalized text; cuts the text between them into pieces.
    private func encodeNormalized(
        _ text: Span<UInt8>, _ range: Range<Int>, _ classes: Span<UnicodeClasses>, _ parseSpecialTokens: Bool,
        _ run: inout Run
    ) {
        guard !normalizedMatcher.isEmpty else { return unshielded(text, range, classes, &run) }
        for segment in normalizedMatcher.segments(
            text, range, parseSpecialTokens: parseSpecialTokens, classes: classes)
        {
            if let id = segment.id {
                run.ids.append(id)
            } else {
                unshielded(text, segment.range, classes, &run)
            }
        }
    }

    /// Whether `range` is the shield and nothing else.
    private static func isShield(_ shield: [UInt8]?, _ text: Span<UInt8>, _ range: Range<Int>) -> Bool {
        guard let shield, shield.count == range.count else { return false }
        return ByteSearch.stands(shield, at: range.lowerBound, in: text, range.upperBound)
    }

    /// Encodes a piece without the shields in it.
    private func unshielded(
        _ text: Span<UInt8>, _ range: Range<Int>, _ classes: Span<UnicodeClasses>, _ run: inout Run
    ) {
        guard let shield = run.shield else { return split(text, range, classes, stage: 0, &run) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.count)
        var next = range.lowerBound
        while next < range.upperBound {
            let isShield = ByteSearch.stands(shield, at: next, in: text, range.upperBound)
            if isShield {
                next += shield.count
            } else {
                bytes.append(text[next])
                next += 1
            }
        }
        if run.firstStart == range.lowerBound { run.firstStart = 0 } else { run.firstStart = nil }
        split(bytes.span, 0..<bytes.count, classes, stage: 0, &run)
    }

    /// Cuts a piece at this stage and all that follow, and encodes what results.
    private func split(
        _ text: Span<UInt8>, _ range: Range<Int>, _ classes: Span<UnicodeClasses>, stage: Int,
        _ run: inout Run
    ) {
        guard !range.isEmpty else { return }
        guard stage < preTokenizer.stages.count else {
            return encodeWords(text, range, &run)
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
        case .whiteSpaceRemoved:
            while start < range.upperBound {
                let end = scanner.run(of: .space, isMember: false, from: start)
                if end > start { split(text, start..<end, classes, stage: stage + 1, &run) }
                start = scanner.run(of: .space, from: end, atMost: .max)
            }
        case .endingInSpace:
            while start < range.upperBound {
                var end = start
                while end < range.upperBound, text[end] != UInt8(ascii: " ") { end += 1 }
                end = min(end + 1, range.upperBound)
                split(text, start..<end, classes, stage: stage + 1, &run)
                start = end
            }
        case .leadingSpace:
            guard text[range.lowerBound] != UInt8(ascii: " ") else {
                return split(text, range, classes, stage: stage + 1, &run)
            }
            var spaced: [UInt8] = [UInt8(ascii: " ")]
            for index in range { spaced.append(text[index]) }
            splitRewritten(spaced.span, 0..<spaced.count, classes, stage: stage + 1, &run)
        case .metaspace(let metaspace):
            let marked = metaspace.apply(text, range, isFirst: run.firstStart == range.lowerBound)
            let whole = 0..<marked.count
            guard metaspace.splits else {
                return splitRewritten(marked.span, whole, classes, stage: stage + 1, &run)
            }
            start = 0
            while start < whole.upperBound {
                let end = metaspace.end(of: marked.span, from: start, to: whole.upperBound)
                splitRewritten(marked.span, start..<end, classes, stage: stage + 1, &run)
                start = end
            }
        }
    }

    /// Goes on with a piece of a text made for it, none of which counts as the first.
    private func splitRewritten(
        _ text: Span<UInt8>, _ range: Range<Int>, _ classes: Span<UnicodeClasses>, stage: Int,
        _ run: inout Run
    ) {
        let firstStart = run.firstStart
        run.firstStart = nil
        split(text, range, classes, stage: stage, &run)
        run.firstStart = firstStart
    }

    /// Encodes a piece, word by word if that comes to the same.
    private func encodeWords(_ text: Span<UInt8>, _ range: Range<Int>, _ run: inout Run) {
        guard isCutAtMarks else {
            if !range.isEmpty { run.encoder.encode(text, range, model, into: &run.ids) }
            return
        }
        var start = range.lowerBound
        while start < range.upperBound {
            let end = SpaceMark.endOfWord(from: start, in: text, end: range.upperBound)
            run.encoder.encode(text, start..<end, model, into: &run.ids)
            start = end
        }
    }
}
