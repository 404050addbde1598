import JSON

/// Rewrites text before it is cut and encoded, in steps of which each takes what the last one made.
struct Normalizer: Sendable {
    /// A step.
    enum Step: Sendable {
        /// Canonical composition (NFC).
        case compose
        /// Small letters.
        case lowercase
        /// These bytes in front of text that is not empty.
        case prepend([UInt8])
        /// Other bytes in place of these.
        case replace([UInt8], with: [UInt8])
        /// Bytes in place of every run of two or more spaces.
        case replaceSpaceRuns(with: [UInt8])
        /// No white space at the left, the right, or both ends.
        case strip(left: Bool, right: Bool)
        /// What a SentencePiece model says.
        case sentencePiece(SentencePieceNormalizer)
    }

    /// Normalized text.
    struct Text {
        var bytes: [UInt8]
        /// Whether its start is the start of the text it was made from.
        var keepsStart = true
    }

    /// The steps in their order.
    private(set) var steps: [Step] = []

    /// The normalizer with those steps.
    init(_ steps: [Step]) { self.steps = steps }

    /// Reads `normalizer`.
    init(_ value: JSONValue) throws(TokenizerError) { try add(value) }

    /// The normal form of `bytes[range]`; nil if that is `bytes[range]` for certain.
    ///
    /// `isFirst` says that no other text is before it.
    func apply(
        _ bytes: Span<UInt8>, _ range: Range<Int>, isFirst: Bool, classes: Span<UnicodeClasses>
    ) -> Text? {
        var text: Text?
        for step in steps {
            if let known = text {
                text =
                    Self.apply(
                        step, known.bytes.span, 0..<known.bytes.count, isFirst: isFirst, classes,
                        known.keepsStart)
                    ?? known
            } else {
                text = Self.apply(step, bytes, range, isFirst: isFirst, classes, true)
            }
        }
        return text
    }

    private static func apply(
        _ step: Step, _ bytes: Span<UInt8>, _ range: Range<Int>, isFirst: Bool,
        _ classes: Span<UnicodeClasses>,
        _ keepsStart: Bool
    ) -> Text? {
        guard !range.isEmpty else { return nil }
        switch step {
        case .compose:
            return Composition.shared.normalize(bytes, range, classes: classes)
                .map { Text(bytes: $0, keepsStart: keepsStart) }
        case .lowercase:
            return Text(bytes: lowercased(bytes, range), keepsStart: keepsStart)
        case .prepend(let prefix):
            var text = prefix
            text.reserveCapacity(prefix.count + range.count)
            append(bytes, range, to: &text)
            return Text(bytes: text, keepsStart: keepsStart)
        case .replace(let pattern, let content):
            return Text(bytes: replaced(bytes, range, pattern, content), keepsStart: keepsStart)
        case .replaceSpaceRuns(let content):
            return Text(bytes: spaceRunsReplaced(bytes, range, content), keepsStart: keepsStart)
        case .strip(let left, let right):
            let kept = stripped(bytes, range, left: left, right: right, classes)
            var text: [UInt8] = []
            append(bytes, kept, to: &text)
            return Text(bytes: text, keepsStart: keepsStart && kept.lowerBound == range.lowerBound)
        case .sentencePiece(let normalizer):
            return Text(bytes: normalizer.apply(bytes, range, isFirst: isFirst), keepsStart: keepsStart)
        }
    }

    private mutating func add(_ value: JSONValue) throws(TokenizerError) {
        guard !value.isNull else { return }
        let type = value["type"].string ?? ""
        switch type {
        case "Sequence":
            for normalizer in value["normalizers"].array ?? [] { try add(normalizer) }
        case "NFC": steps.append(.compose)
        case "Lowercase": steps.append(.lowercase)
        case "Prepend":
            guard let prefix = value["prepend"].string else {
                throw TokenizerError("the normalizer Prepend has nothing to prepend")
            }
            steps.append(.prepend(Array(prefix.utf8)))
        case "Replace": steps.append(try Self.replacement(value))
        case "Strip":
            let left = try value["strip_left"].flag(false, "strip_left")
            let right = try value["strip_right"].flag(false, "strip_right")
            if left || right { steps.append(.strip(left: left, right: right)) }
        default:
            throw TokenizerError(
                "the normalizer \"\(type)\" is not supported; NFC, Lowercase, Prepend, Replace, Strip and Sequence are"
            )
        }
    }

    private static func replacement(_ value: JSONValue) throws(TokenizerError) -> Step {
        guard let content = value["content"].string else {
            throw TokenizerError("the normalizer Replace has no content")
        }
        if let pattern = value["pattern"]["String"].string, !pattern.isEmpty {
            return .replace(Array(pattern.utf8), with: Array(content.utf8))
        }
        guard value["pattern"]["Regex"].string == " {2,}" else {
            throw TokenizerError(
                "the normalizer Replace has a pattern that is not a String, nor the Regex \" {2,}\"")
        }
        return .replaceSpaceRuns(with: Array(content.utf8))
    }

    private static func append(_ bytes: Span<UInt8>, _ range: Range<Int>, to text: inout [UInt8]) {
        for index in range { text.append(bytes[index]) }
    }

    private static func lowercased(_ bytes: Span<UInt8>, _ range: Range<Int>) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(range.count)
        var position = range.lowerBound
        while position < range.upperBound {
            let (scalar, length) = UTF8Scalar.read(bytes, at: position)
            if scalar < 0x80 {
                let isCapital = (0x41...0x5A).contains(scalar)
                text.append(isCapital ? bytes[position] | 0x20 : bytes[position])
            } else if let known = Unicode.Scalar(scalar) {
                text.append(contentsOf: known.properties.lowercaseMapping.utf8)
            }
            position += length
        }
        return text
    }

    private static func replaced(
        _ bytes: Span<UInt8>, _ range: Range<Int>, _ pattern: [UInt8], _ content: [UInt8]
    ) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(range.count + range.count / 2)
        var position = range.lowerBound
        while position < range.upperBound {
            if bytes[position] == pattern[0],
                ByteSearch.stands(pattern, at: position, in: bytes, range.upperBound)
            {
                text.append(contentsOf: content)
                position += pattern.count
            } else {
                text.append(bytes[position])
                position += 1
            }
        }
        return text
    }

    private static func spaceRunsReplaced(_ bytes: Span<UInt8>, _ range: Range<Int>, _ content: [UInt8])
        -> [UInt8]
    {
        var text: [UInt8] = []
        text.reserveCapacity(range.count)
        var position = range.lowerBound
        while position < range.upperBound {
            var end = position
            while end < range.upperBound, bytes[end] == 0x20 { end += 1 }
            if end - position > 1 {
                text.append(contentsOf: content)
                position = end
            } else {
                text.append(bytes[position])
                position += 1
            }
        }
        return text
    }

    private static func stripped(
        _ bytes: Span<UInt8>, _ range: Range<Int>, left: Bool, right: Bool, _ classes: Span<UnicodeClasses>
    ) -> Range<Int> {
        var start = range.lowerBound
        var end = range.upperBound
        while left, start < end {
            let (scalar, length) = UTF8Scalar.read(bytes, at: start)
            guard classes[Int(scalar)].contains(.space) else { break }
            start += length
        }
        while right, end > start {
            let last = UTF8Scalar.start(before: end, in: bytes)
            guard classes[Int(UTF8Scalar.read(bytes, at: last).value)].contains(.space) else { break }
            end = last
        }
        return start..<end
    }
}
