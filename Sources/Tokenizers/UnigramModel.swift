/// Cuts text into the pieces whose scores have the greatest sum (Viterbi's algorithm).
final class UnigramModel: Sendable {
    /// What the score of an unknown scalar lacks to the least score of all.
    private static let penalty = 10.0
    /// The longest piece, in bytes, so that time stays linear in the text.
    static let longestPiece = 1024

    /// The settings beside the pieces.
    struct Settings: Sendable {
        /// The id that stands for unknown scalars.
        var unknownID: Int32
        /// The least score of a piece, and the greatest.
        var scores: ClosedRange<Double>
        /// The id of each byte, for text that is no piece; empty if unknown scalars stay unknown.
        var byteIDs: [Int32] = []
        /// Whether sums are rounded to 32 bits, as SentencePiece does and `tokenizers` does not.
        var roundsSums = false
    }

    /// The tokens.
    let vocabulary: Vocabulary
    private let trie: PieceTrie
    /// The score of each id.
    private let scores: [Double]
    private let settings: Settings

    /// A model of pieces; the winners among them count as if each of their bytes had the greatest score.
    init(
        vocabulary: Vocabulary, pieces: [(id: Int32, score: Double)], winners: Set<Int32>, settings: Settings
    ) throws(TokenizerError) {
        var scores = [Double](repeating: 0, count: vocabulary.count)
        var trie = PieceTrie()
        for piece in pieces {
            guard let bytes = vocabulary.bytes(of: piece.id), !bytes.isEmpty else { continue }
            guard bytes.count <= Self.longestPiece else {
                throw TokenizerError("the piece \(piece.id) is longer than \(Self.longestPiece) bytes")
            }
            guard piece.score.isFinite else {
                throw TokenizerError("the piece \(piece.id) has no finite score")
            }
            trie.add(bytes, id: piece.id)
            scores[Int(piece.id)] =
                winners.contains(piece.id)
                ? Double(bytes.count) * settings.scores.upperBound - 0.1 : piece.score
        }
        self.vocabulary = vocabulary
        self.trie = trie
        self.scores = scores
        self.settings = settings
    }

    /// The best way to a place of the text.
    private struct Place {
        var sum = 0.0
        /// Where the last piece starts; −1 if there is no way.
        var start: Int32 = -1
        /// The last piece; −1 for an unknown scalar.
        var id: Int32 = -1
    }

    /// Appends the ids of `bytes[range]`.
    func encode(_ bytes: Span<UInt8>, _ range: Range<Int>, into ids: inout [Int32]) {
        var places = [Place](repeating: Place(), count: range.count + 1)
        places[0].start = 0
        let unknownScore = rounded(settings.scores.lowerBound - Self.penalty)
        var position = 0
        while position < range.count {
            let sum = places[position].sum
            let length = UTF8Scalar.read(bytes, at: range.lowerBound + position).length
            let next = min(position + length, range.count)
            var end = position
            var node: Int32 = 0
            var isKnown = false
            while end < range.count {
                node = trie.child(of: node, bytes[range.lowerBound + end])
                guard node != 0 else { break }
                end += 1
                let id = trie.id(at: node)
                guard id >= 0 else { continue }
                if end == next { isKnown = true }
                reach(&places, end, sum + scores[Int(id)], from: position, id)
            }
            if !isKnown { reach(&places, next, sum + unknownScore, from: position, -1) }
            position = next
        }
        append(places, bytes, range, to: &ids)
    }

    @inline(__always)
    private func rounded(_ sum: Double) -> Double { settings.roundsSums ? Double(Float(sum)) : sum }

    @inline(__always)
    private func reach(_ places: inout [Place], _ end: Int, _ sum: Double, from start: Int, _ id: Int32) {
        let sum = rounded(sum)
        guard places[end].start < 0 || sum > places[end].sum else { return }
        places[end] = Place(sum: sum, start: Int32(truncatingIfNeeded: start), id: id)
    }

    /// Appends the pieces of the best way; unknown scalars become bytes, or a run of them one id.
    private func append(
        _ places: [Place], _ bytes: Span<UInt8>, _ range: Range<Int>, to ids: inout [Int32]
    ) {
        var pieces: [Int] = []
        var end = range.count
        while end > 0 {
            pieces.append(end)
            end = Int(places[end].start)
        }
        var lastIsUnknown = false
        for end in pieces.reversed() {
            let place = places[end]
            let isUnknown = place.id < 0 || place.id == settings.unknownID
            defer { lastIsUnknown = isUnknown }
            if !isUnknown {
                ids.append(place.id)
            } else if !settings.byteIDs.isEmpty {
                for index in Int(place.start)..<end {
                    ids.append(settings.byteIDs[Int(bytes[range.lowerBound + index])])
                }
            } else if !lastIsUnknown {
                ids.append(settings.unknownID)
            }
        }
    }
}
