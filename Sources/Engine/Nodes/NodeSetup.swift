import Images
import Models
import Nodes
import Scheduling

/// What node 0 decides for the ranks of all nodes.
struct NodeSetup: Hashable, Sendable {
    let limits: SchedulerLimits
    /// The tokenizer's.
    let vocabularyCount: Int
    let endIDs: [Int32]

    init(limits: SchedulerLimits, vocabularyCount: Int, endIDs: [Int32]) {
        self.limits = limits
        self.vocabularyCount = vocabularyCount
        self.endIDs = endIDs
    }

    var bytes: [UInt8] {
        var writer = ByteWriter()
        let values = [
            limits.pageCount, limits.pageSize, limits.modelLength, limits.runningRequests,
            limits.tokensPerStep, limits.chunkSize, limits.imageCapacity, limits.imagePageCount,
            limits.rowsPerImagePage, limits.tilesPerStep, limits.preparations, limits.mostBypasses,
            limits.scoresPerStep, vocabularyCount,
        ]
        for value in values { writer.write(Int64(value)) }
        writer.write(UInt8(limits.encodesWholePictures ? 1 : 0))
        writer.write(UInt8(limits.keepsPrefixes ? 1 : 0))
        writer.write(endIDs)
        return writer.bytes
    }

    /// Throws for what is no setup, or one beyond all reason.
    init(_ bytes: [UInt8]) throws(LinkError) {
        var reader = ByteReader(bytes)
        // Products of these are far below overflow.
        let pageCount = try reader.read(in: 1...(1 << 30)), pageSize = try reader.read(in: 1...(1 << 12))
        guard pageCount * pageSize <= Int(Int32.max) else { throw .malformed }
        let modelLength = try reader.read(in: 1...(1 << 30)), running = try reader.read(in: 1...(1 << 20))
        let tokensPerStep = try reader.read(in: 1...(1 << 24)), chunkSize = try reader.read(in: 1...(1 << 24))
        let imageCapacity = try reader.read(in: 0...(1 << 24)),
            imagePages = try reader.read(in: 0...(1 << 24))
        let rows = try reader.read(in: 1...(1 << 16)), tilesPerStep = try reader.read(in: 1...(1 << 16))
        // Rows of embeddings, of which an image token may have a few, are counted in 32 bits.
        guard max(imagePages, tilesPerStep) * rows <= Int(Int32.max) / 8 else { throw .malformed }
        var limits = SchedulerLimits(
            pageCount: pageCount, pageSize: pageSize, modelLength: modelLength, runningRequests: running,
            tokensPerStep: tokensPerStep, chunkSize: chunkSize, imageCapacity: imageCapacity,
            imagePageCount: imagePages, rowsPerImagePage: rows, tilesPerStep: tilesPerStep,
            preparations: try reader.read(in: 1...(1 << 16)))
        limits.mostBypasses = try reader.read(in: 0...(1 << 30))
        limits.scoresPerStep = try reader.read(in: 0...(1 << 16))
        vocabularyCount = try reader.read(in: 1...(1 << 30))
        limits.encodesWholePictures = try reader.readFlag()
        limits.keepsPrefixes = try reader.readFlag()
        self.limits = limits
        endIDs = try reader.readList()
        try reader.end()
    }
}

/// What ranks may be told to do: steps within the stores that they have.
struct WorkBounds {
    let limits: SchedulerLimits
    let model: ModelDescription

    /// Whether `work` names nothing that is not there.
    func allow(_ work: RankWork) -> Bool {
        switch work {
        case .rehearse, .warmUp, .collect, .skip: true
        case .encode(let pictures): allow(pictures)
        case .load(let rows, let pages): allow(rows.count, pages)
        case .enqueue(let sequences): allow(sequences)
        }
    }

    /// Whether so many bytes are whole rows of embeddings that fit `pages`.
    private func allow(_ byteCount: Int, _ pages: [PageIndex]) -> Bool {
        let rowBytes = (model.vision?.planeCount ?? 1) * model.text.hiddenSize * 4
        return byteCount.isMultiple(of: rowBytes)
            && byteCount / rowBytes <= pages.count * limits.rowsPerImagePage
            && pages.allSatisfy { $0 >= 0 && $0 < limits.imagePageCount }
    }

    private func allow(_ pictures: [PictureTiles]) -> Bool {
        guard let cut = model.vision?.cut else { return pictures.isEmpty }
        let pageCount = pictures.reduce(0) { $0 + $1.pages.count }
        guard pictures.allSatisfy({ allow($0, cut) }), pictures.count <= limits.tilesPerStep else {
            return false
        }
        // A picture as a whole may be larger, but then it is alone.
        return pageCount <= limits.tilesPerStep
            || (limits.encodesWholePictures && pictures.count == 1 && pageCount <= limits.imagePageCount)
    }

    private func allow(_ picture: PictureTiles, _ cut: ImageCut) -> Bool {
        guard picture.size == cut.tileSize, !picture.pages.isEmpty,
            picture.pages.allSatisfy({ $0 >= 0 && $0 < limits.imagePageCount })
        else { return false }
        let pieces: Int
        switch (cut, picture.grid) {
        case (.tiles, nil), (.views, nil), (.split, nil): pieces = picture.pages.count
        case (.patches(let options), let grid?):
            let rows = limits.rowsPerImagePage
            guard (grid.count + rows - 1) / rows == picture.pages.count else { return false }
            pieces = grid.count * options.mergeSize * options.mergeSize
        default: return false
        }
        return picture.bytes.count == pieces * PictureTiles.byteCount(ofSide: picture.size)
    }

    private func allow(_ sequences: [SequenceStep]) -> Bool {
        let tokens = sequences.reduce(0) { $0 + $1.tokens.count }
        let scores = sequences.reduce(0) { $0 + ($1.scoring?.ids.count ?? 0) }
        return sequences.count <= limits.runningRequests && tokens <= limits.tokensPerStep
            && scores <= limits.scoresPerStep && sequences.allSatisfy { allow($0) }
    }

    private func allow(_ sequence: SequenceStep) -> Bool {
        let count = sequence.tokens.count, text = model.text
        let (end, rows) = (sequence.start + count, limits.imagePageCount * limits.rowsPerImagePage)
        guard count > 0, sequence.imageRows.count == count,
            sequence.places.map({ $0.count == count }) ?? true,
            end <= limits.sequenceLength, end <= sequence.pages.count * limits.pageSize,
            sequence.pages.count <= limits.pageCount(forTokens: limits.sequenceLength)
        else { return false }
        let length = Int32(clamping: limits.sequenceLength)
        guard sequence.tokens.allSatisfy({ $0 >= 0 && Int($0) < text.vocabularyCount }),
            sequence.imageRows.allSatisfy({ $0 >= -1 && Int($0) < rows }),
            sequence.pages.allSatisfy({ $0 >= 0 && Int($0) < limits.pageCount }),
            (sequence.places ?? []).allSatisfy({ $0.min() >= 0 && $0.max() <= length })
        else { return false }
        guard let scoring = sequence.scoring else { return true }
        // The logits of a token are those of the one before it.
        return scoring.places.count == scoring.ids.count
            && scoring.ids.allSatisfy { $0 >= 0 && Int($0) < text.vocabularyCount }
            && scoring.places.allSatisfy { $0 > sequence.start && $0 <= end }
    }
}
