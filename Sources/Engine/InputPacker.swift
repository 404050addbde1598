import Models
import Scheduling
import Tensors

/// The integers of a step, laid one after another in one buffer so that they reach the device in one copy.
///
/// T tokens, S sequences, R rows of logits, P columns of the page table:
///
///     ids T | image rows planes · T | positions axes · T | slots T | starts S + 1 | lengths S | page table S · P |
///     logit rows R | sights T, where image tokens of a model whose pictures see all of themselves are among them
struct PackedInputs {
    private(set) var values: [Int32] = []
    private let tokenCount: Int
    private let axisCount: Int
    /// Rows of embeddings that a token of the pass takes: one where there is no image token.
    private let planeCount: Int
    private let sequenceCount: Int
    private let singleCount: Int
    private let pageColumns: Int
    private let rowCount: Int
    private let hasSights: Bool
    private let maxQueryCount: Int
    private let maxContextLength: Int

    /// Packs `sequences`, none of them empty and those of one token first, for pages of `pageSize` tokens.
    ///
    /// Tokens have `axisCount` positions, one or three, image tokens `planeCount` embeddings one after another. With
    /// `seesWholePictures` image tokens see those that follow them in a row. Up to
    /// `paddedCount` sequences of one token that store nothing are added. `resultRow` finds the row among the results of the
    /// step before for a token that step chose.
    init(
        _ sequences: [SequenceStep], axisCount: Int, planeCount: Int, paddedCount: Int, pageColumns: Int,
        pageSize: Int, seesWholePictures: Bool = false,
        resultRow: (Int) -> Int32,
    ) {
        let padding = max(0, paddedCount - sequences.count)
        tokenCount = sequences.reduce(0) { $0 + $1.tokens.count } + padding
        sequenceCount = sequences.count + padding
        singleCount = sequences.prefix { $0.tokens.count == 1 }.count + padding
        self.pageColumns = pageColumns
        self.axisCount = axisCount
        let hasImageTokens = sequences.contains(where: \.hasImageTokens)
        self.planeCount = hasImageTokens ? planeCount : 1
        hasSights = seesWholePictures && hasImageTokens
        maxQueryCount = sequences.map(\.tokens.count).max() ?? 1
        maxContextLength = sequences.map { $0.start + $0.tokens.count }.max() ?? 0
        var logitRows: [Int32] = []
        var starts: [Int32] = [0]
        var ids: [Int32] = []
        for sequence in sequences {
            // The logits of a token are those of the one before it.
            for place in sequence.scoring?.places ?? [] {
                logitRows.append(Int32(ids.count + place - 1 - sequence.start))
            }
            for id in sequence.tokens { ids.append(id >= 0 ? id : -1 - resultRow(Int(-1 - id))) }
            starts.append(Int32(ids.count))
            if sequence.choice != nil { logitRows.append(Int32(ids.count - 1)) }
        }
        for _ in 0..<padding {
            logitRows.append(Int32(ids.count))
            ids.append(0)
            starts.append(Int32(ids.count))
        }
        rowCount = logitRows.count
        let none = [Int32](repeating: -1, count: padding)
        let zeros = [Int32](repeating: 0, count: padding)
        values.reserveCapacity(
            (3 + self.planeCount + axisCount) * tokenCount + sequenceCount * (2 + pageColumns) + 1 + rowCount)
        values += ids
        for plane in 0..<self.planeCount {
            for sequence in sequences {
                // Safe: there are far fewer rows than an i32 counts.
                for row in sequence.imageRows {
                    values.append(row < 0 ? -1 : row * Int32(planeCount) + Int32(plane))
                }
            }
            values += none
        }
        for axis in 0..<axisCount {
            for sequence in sequences {
                if let places = sequence.places, axisCount > 1 {
                    for place in places { values.append(place[axis]) }
                } else {
                    for place in 0..<sequence.tokens.count { values.append(Int32(sequence.start + place)) }
                }
            }
            values += zeros
        }
        for sequence in sequences {
            for position in sequence.start..<(sequence.start + sequence.tokens.count) {
                // Safe: the scheduler gives a sequence pages for all of its tokens.
                let page = sequence.pages[position / pageSize]
                values.append(page * Int32(pageSize) + Int32(position % pageSize))
            }
        }
        values += none
        values += starts
        for sequence in sequences { values.append(Int32(sequence.start + sequence.tokens.count)) }
        values += zeros
        for sequence in sequences {
            values += sequence.pages.prefix(pageColumns)
            values += repeatElement(0, count: max(0, pageColumns - sequence.pages.count))
        }
        values += repeatElement(0, count: padding * pageColumns)
        values += logitRows
        guard hasSights else { return }
        for sequence in sequences { values += sequence.sights }
        values += zeros
    }

    /// The batch whose integers lie in `buffer`, i32, as in `values`.
    func batch(in buffer: Tensor, previous: Tensor, embeddings: Tensor, cache: [KVLayer]) -> Batch {
        var start = 0
        func next(_ count: Int) -> Tensor {
            defer { start += count }
            return buffer[start..<(start + count)]
        }
        let ids = next(tokenCount), imageRows = next(tokenCount)
        let deepRows = (1..<planeCount).map { _ in next(tokenCount) }
        let positions = next(axisCount * tokenCount), slots = next(tokenCount)
        let queryStarts = next(sequenceCount + 1), contextLengths = next(sequenceCount)
        let pageTable = next(sequenceCount * pageColumns).reshaped([sequenceCount, pageColumns])
        let logitRows = next(rowCount)
        let attention = AttentionBatch(
            positions: positions, slots: slots, queryStarts: queryStarts, contextLengths: contextLengths,
            pageTable: pageTable, sights: hasSights ? next(tokenCount) : nil, sequenceCount: sequenceCount,
            singleCount: singleCount, maxQueryCount: maxQueryCount,
            maxContextLength: maxContextLength)
        return Batch(
            ids: ids, previous: previous, imageRows: imageRows, deepRows: deepRows,
            images: embeddings, attention: attention,
            logitRows: logitRows, cache: cache)
    }
}

extension SequenceStep {
    /// Whether an image token is among its tokens.
    var hasImageTokens: Bool { imageRows.contains { $0 >= 0 } }

    /// Up to where each token sees the sequence: past itself, or past the last of the image tokens in a row.
    fileprivate var sights: [Int32] {
        var sights = [Int32](repeating: 0, count: tokens.count)
        for index in tokens.indices.reversed() {
            let goesOn = imageRows[index] >= 0 && index + 1 < tokens.count && imageRows[index + 1] >= 0
            // Safe: there are far fewer tokens than an i32 counts.
            sights[index] = goesOn ? sights[index + 1] : Int32(start + index + 1)
        }
        return sights
    }
}
