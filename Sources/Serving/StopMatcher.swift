/// Finds stop strings in a text that comes in pieces, and holds back no more than may become one.
///
/// The match is the one that is complete first; of those complete at the same byte, the longest. So the
/// result does not depend on where the pieces end. Works on UTF-8 bytes: in a `String`, "\n" is not found in
/// "\r\n".
struct StopMatcher: Sendable {
    /// What to do with the text of a match.
    enum Treatment: Sendable {
        /// Leave it out.
        case trim
        /// Let it be the end of the text.
        case keep
    }

    /// What a piece releases.
    struct Output: Equatable, Sendable {
        /// Text that is certain to be part of the answer.
        var text: [UInt8]
        /// Whether a stop string is complete; nothing may follow.
        var isComplete: Bool
    }

    private let patterns: [Pattern]
    private let treatment: Treatment
    /// How many bytes of each pattern the text ends with.
    private var matched: [Int]
    /// The end of the text, not yet released: as long as the longest of `matched`.
    private var held: [UInt8] = []

    /// A matcher of `stops`; none of them is empty.
    init(stops: [[UInt8]], treatment: Treatment) {
        patterns = stops.map(Pattern.init)
        self.treatment = treatment
        matched = Array(repeating: 0, count: stops.count)
    }

    /// Takes the next piece of the text.
    mutating func append(_ piece: [UInt8]) -> Output {
        guard !patterns.isEmpty else { return Output(text: piece, isComplete: false) }
        for (index, byte) in piece.enumerated() {
            var longest: Int?
            for place in patterns.indices {
                matched[place] = patterns[place].advance(matched[place], with: byte)
                let length = patterns[place].bytes.count
                if matched[place] == length { longest = max(longest ?? 0, length) }
            }
            if let longest {
                var text = held + piece[...index]
                held = []
                if case .trim = treatment { text.removeLast(longest) }
                return Output(text: text, isComplete: true)
            }
        }
        let text = held + piece
        let heldCount =
            switch treatment {
            case .trim: matched.max() ?? 0
            case .keep: 0
            }
        // Text that is released already cannot be held: with `keep` nothing is.
        held = Array(text.suffix(heldCount))
        return Output(text: Array(text.dropLast(heldCount)), isComplete: false)
    }

    /// What is still held when the text ends without a stop string.
    mutating func finish() -> [UInt8] {
        defer { held = [] }
        return held
    }

    /// A stop string with Knuth, Morris and Pratt's table.
    private struct Pattern: Sendable {
        let bytes: [UInt8]
        /// For each length of a matched beginning, the longest shorter beginning that is also its end.
        let fallback: [Int]

        init(_ bytes: [UInt8]) {
            precondition(!bytes.isEmpty, "a stop string has bytes")
            self.bytes = bytes
            var fallback = [0, 0]
            var length = 0
            for index in bytes.indices.dropFirst() {
                while length > 0, bytes[index] != bytes[length] { length = fallback[length] }
                if bytes[index] == bytes[length] { length += 1 }
                fallback.append(length)
            }
            self.fallback = fallback
        }

        /// How many bytes match after `byte`, when `count` (not all) did before it.
        func advance(_ count: Int, with byte: UInt8) -> Int {
            var count = count
            while count > 0, bytes[count] != byte { count = fallback[count] }
            return bytes[count] == byte ? count + 1 : 0
        }
    }
}
