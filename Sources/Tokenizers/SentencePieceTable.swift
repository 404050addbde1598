/// The pieces that text may become, and the model made of them.
struct SentencePieceTable {
    /// The longest piece that merges make, in bytes.
    private static let longestPiece = 1024

    private let vocabulary: Vocabulary
    /// Ids of the pieces that merges or scores lead to.
    private let normal: [Int32]
    private let isNormal: [Bool]
    private let unknownID: Int32
    private let byteIDs: [Int32]
    /// The tokens that are always kept whole.
    let symbols: [AddedToken]

    /// Sorts the pieces of a file; those `replaced` by added tokens are no pieces any more.
    init(_ file: SentencePieceFile, _ vocabulary: Vocabulary, replaced: [Int32: AddedToken]) {
        self.vocabulary = vocabulary
        var normal: [Int32] = []
        var isNormal = [Bool](repeating: false, count: vocabulary.count)
        var byteIDs = [Int32](repeating: -1, count: 256)
        var symbols: [AddedToken] = []
        var unknownID: Int32 = 0
        for (index, piece) in file.pieces.enumerated() {
            let id = Int32(truncatingIfNeeded: index)
            let token = replaced[id]
            switch piece.kind {
            case .normal where token == nil:
                normal.append(id)
                isNormal[index] = true
            case .userDefined where token == nil || token?.content.utf8.elementsEqual(piece.text) == true:
                let text = String(decoding: piece.text, as: UTF8.self)
                symbols.append(AddedToken(id: id, content: text, isSpecial: token?.isSpecial ?? false))
            case .byte where token == nil || token?.content.utf8.elementsEqual(piece.text) == true:
                if let byte = ByteToken.byte(of: piece.text) { byteIDs[Int(byte)] = id }
            case .unknown: unknownID = id
            default: break
            }
        }
        self.normal = normal
        self.isNormal = isNormal
        self.unknownID = unknownID
        self.byteIDs = byteIDs
        self.symbols = symbols
    }

    /// The model of the file.
    func model(_ file: SentencePieceFile) throws(TokenizerError) -> TokenModel {
        guard !file.fallsBackToBytes || !byteIDs.contains(-1) else {
            throw TokenizerError("byte_fallback is set, but some bytes have no piece")
        }
        let byteIDs = file.fallsBackToBytes ? byteIDs : Array(repeating: -1, count: 256)
        switch file.method {
        case .bytePair: return .bytePair(try bytePair(file, byteIDs))
        case .unigram: return .unigram(try unigram(file, byteIDs))
        case .word, .character:
            throw TokenizerError("the model_type is \(file.method); unigram and BPE are supported")
        }
    }

    private func unigram(_ file: SentencePieceFile, _ byteIDs: [Int32]) throws(TokenizerError) -> UnigramModel
    {
        let scores = file.pieces.lazy.filter { $0.kind == .normal }.map { Double($0.score) }
        guard let least = scores.min(), let greatest = scores.max() else {
            throw TokenizerError("the file has no normal pieces")
        }
        let winners = symbols.filter { !$0.isSpecial }.map(\.id)
        // As in the reference, the greatest score is never below the least positive number.
        var settings = UnigramModel.Settings(
            unknownID: unknownID, scores: least...max(greatest, Double(Float.leastNormalMagnitude)))
        settings.byteIDs = file.fallsBackToBytes ? byteIDs : []
        settings.roundsSums = true
        return try UnigramModel(
            vocabulary: vocabulary,
            pieces: (normal + winners).map { ($0, Double(file.pieces[Int($0)].score)) },
            winners: Set(winners), settings: settings)
    }

    private func bytePair(_ file: SentencePieceFile, _ byteIDs: [Int32]) throws(TokenizerError)
        -> BytePairModel
    {
        guard file.pieces.allSatisfy({ $0.kind != .unused }) else {
            throw TokenizerError("the file has unused pieces, which are not supported with BPE")
        }
        var model = BytePairModel(
            spelling: .plain, vocabulary: vocabulary, merges: MergeTable(expected: normal.count * 4),
            byteIDs: byteIDs)
        model.unknown = BytePairModel.Unknown(id: unknownID, isFused: true)
        for id in normal { model.scalars.add(file.pieces[Int(id)].text, id: id) }
        let ranks = ranks(file)
        var crossesMarks = false
        for id in normal {
            let text = Array(file.pieces[Int(id)].text)
            guard text.count <= Self.longestPiece else {
                throw TokenizerError("the piece \(id) is longer than \(Self.longestPiece) bytes")
            }
            addMerges(of: text, MergeTable.Merge(rank: ranks[Int(id)], id: id), to: &model)
            crossesMarks = crossesMarks || SpaceMark.isInside(text[...])
        }
        model.isCutAtMarks = !crossesMarks && model.scalars[0x2581] >= 0
        return model
    }

    /// Adds every way to put a piece together from two parts.
    private func addMerges(of text: [UInt8], _ merge: MergeTable.Merge, to model: inout BytePairModel) {
        var split = UTF8Scalar.read(text.span, at: 0).length
        while split < text.count {
            if let left = part(text, 0..<split, &model), let right = part(text, split..<text.count, &model) {
                model.merges.add(left, right, merge)
            }
            split += UTF8Scalar.read(text.span, at: split).length
        }
    }

    /// The id of a part, which is a piece or a single scalar.
    private func part(_ text: [UInt8], _ range: Range<Int>, _ model: inout BytePairModel) -> Int32? {
        if let id = vocabulary.id(of: text.span, range, isLiteral: false), isNormal[Int(id)] { return id }
        let (scalar, length) = UTF8Scalar.read(text.span, at: range.lowerBound)
        guard length == range.count else { return nil }
        let known = model.scalars[scalar]
        if known >= 0 { return known }
        let id = Int32(truncatingIfNeeded: vocabulary.count + model.unspelledScalars.count)
        model.unspelledScalars.append(scalar)
        model.scalars.add(text[range], id: id)
        return id
    }

    /// The place of each piece's score among all, the greatest first; equal scores share one.
    private func ranks(_ file: SentencePieceFile) -> [UInt32] {
        var ranks = [UInt32](repeating: 0, count: file.pieces.count)
        var rank: UInt32 = 0
        var last: Float?
        for id in normal.sorted(by: { file.pieces[Int($0)].score > file.pieces[Int($1)].score }) {
            let score = file.pieces[Int(id)].score
            if let last, score < last { rank += 1 }
            last = score
            ranks[Int(id)] = rank
        }
        return ranks
    }
}
