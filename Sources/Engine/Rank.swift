import Images
import Models
import Scheduling
import Tensors

/// One device with the model, or its part of it, on it: runs the tensors of a step.
///
/// Belongs to one thread at a time. Steps are enqueued and their results collected in the same order, with at most two on
/// the way.
final class Rank {
    private let device: any Device
    private let model: any VisionLanguageModel
    /// The others that run the same steps; nil where it is alone.
    private let division: RankDivision?
    private let cache: [KVLayer]
    /// f32 [image pages · rows per page, planes · hidden].
    private let embeddings: Tensor
    /// The numbers from zero, i32 [the most embeddings of a step].
    private let ascending: Tensor
    private let limits: SchedulerLimits
    private let vocabularyCount: Int
    /// Positions a token has.
    private let axisCount: Int
    /// Embeddings of an image token.
    private let planeCount: Int
    private let endIDs: [Int32]
    private let workspace: Workspace
    private let banks: [Bank]
    /// Whether steps that repeat may be recorded.
    private var records = true
    private var enqueuedCount = 0
    private var collectedCount = 0

    /// What a step on the way has for itself.
    private final class Bank {
        let inputs: Tensor
        /// The first rank chooses tokens.
        let sampler: (any TokenSampler)?
        /// i32 [rows]: the chosen tokens on the device, which the next step may begin with; nil where none does.
        let tokens: Tensor?
        /// i32 [tiles per step]: by picture, how many values of its embeddings are not finite.
        let faults: Tensor
        var sequences: [SequenceStep] = []
        /// For each sequence its row among the results, or −1.
        var choiceRows: [Int32] = []
        var pictureCount = 0

        init(inputs: Tensor, sampler: (any TokenSampler)?, tokens: Tensor?, faults: Tensor) {
            self.inputs = inputs
            self.sampler = sampler
            self.tokens = tokens
            self.faults = faults
        }
    }

    /// Allocates the stores that `limits` asks for.
    ///
    /// `vocabularyCount` is the tokenizer's.
    init(
        model: any VisionLanguageModel, device: any Device, limits: SchedulerLimits, elementType: ElementType,
        vocabularyCount: Int, endIDs: [Int32], division: RankDivision? = nil,
    ) throws(DeviceError) {
        self.device = device
        self.model = model
        self.division = division
        self.limits = limits
        self.endIDs = endIDs
        let text = model.description.text
        self.vocabularyCount = min(vocabularyCount, text.vocabularyCount)
        axisCount = text.rotary.axisCount
        planeCount = model.description.vision?.planeCount ?? 1
        let heads = model.cacheHeads
        let shape: Shape = [limits.pageCount, heads.keyValueHeads, limits.pageSize, heads.headDim]
        var cache: [KVLayer] = []
        for _ in 0..<text.layerCount {
            cache.append(
                KVLayer(
                    keys: try device.makeTensor(shape, elementType),
                    values: try device.makeTensor(shape, elementType)))
        }
        self.cache = cache
        let rows = max(1, limits.imagePageCount * limits.rowsPerImagePage)
        embeddings = try device.makeTensor([rows, planeCount * text.hiddenSize], .f32)
        // A picture encoded as a whole may be larger than the other steps.
        let mostPages = max(limits.tilesPerStep, limits.encodesWholePictures ? limits.imagePageCount : 0)
        let ascendingCount = limits.rowsPerImagePage * mostPages
        ascending = try device.makeTensor([ascendingCount], .i32)
        device.write((0..<Int32(ascendingCount)).map(\.self), to: ascending)
        workspace = try Workspace(device: device, byteCount: 0)
        let padded = device.paddedCount(limits.runningRequests)
        let rowCount = padded + limits.scoresPerStep
        let columns = Self.pageColumns(limits.pageCount(forTokens: limits.sequenceLength))
        let capacity =
            (3 + planeCount + axisCount) * (limits.tokensPerStep + padded) + padded * (2 + columns) + 1
            + rowCount
        var banks: [Bank] = []
        for _ in 0..<2 {
            let sampler =
                division?.isFirst ?? true
                ? try device.makeSampler(capacity: rowCount, vocabularyCount: text.vocabularyCount) : nil
            let copy = device.isAsynchronous && sampler == nil ? try device.makeTensor([rowCount], .i32) : nil
            banks.append(
                Bank(
                    inputs: try device.makeTensor([capacity], .i32), sampler: sampler,
                    tokens: sampler?.tokens ?? copy,
                    faults: try device.makeTensor([limits.tilesPerStep], .i32)))
        }
        self.banks = banks
    }

    /// Columns of the page table for sequences of at most `pages` pages: one of few numbers, so that steps repeat.
    private static func pageColumns(_ pages: Int) -> Int {
        var columns = 64
        while columns < pages { columns *= 4 }
        return columns
    }

    /// Runs the largest steps there can be and a few small ones, so that memory that is missing shows before the first
    /// request, and no request waits for a device that prepares what it does for the first time.
    ///
    /// To be called before any other step: pages of keys and values are written.
    func warmUp() throws(DeviceError) {
        try device.learn { () throws(DeviceError) in
            try warmUpTower()
            let longest = min(limits.tokensPerStep, limits.chunkSize, limits.sequenceLength)
            try warmUp(
                sequences: max(1, min(limits.runningRequests, limits.tokensPerStep / longest)),
                tokens: longest)
            // The most rows that the head has.
            if runsAhead { try warmUp(sequences: min(limits.runningRequests, limits.pageCount), tokens: 1) }
        }
        // Twice to prepare and to record, for each bank.
        for count in [1, 2, 4, 8] where count <= min(limits.runningRequests, limits.pageCount) {
            for _ in 0..<4 { try warmUp(sequences: count, tokens: 1) }
        }
    }

    /// The largest step of the tower; none without one, or where no picture fits.
    private func warmUpTower() throws(DeviceError) {
        guard let vision = model.description.vision,
            let picture = PictureTiles(
                rehearsing: vision.cut, pageCount: min(limits.tilesPerStep, limits.imagePageCount),
                mostPages: limits.imagePageCount)
        else { return }
        try encode([picture])
        try enqueue([])
        _ = try collect()
        if cutsPictures {
            workspace.reset()
            _ = try workspace.take([picture.bytes.count + DeviceCut.mostBytes], .u8)
        }
    }

    /// The same by this rank alone, whose exchanges do nothing: all memory and kernels are there afterwards, so that no
    /// rank keeps the others waiting for what a device does only when it is idle.
    func rehearse() throws(DeviceError) {
        division?.collective.rehearseAlone(true)
        records = false
        defer {
            division?.collective.rehearseAlone(false)
            records = true
        }
        try warmUp()
        workspace.reset()
        try device.wait()
    }

    /// One step of so many sequences, in pages of their own as far as there are.
    private func warmUp(sequences count: Int, tokens: Int) throws(DeviceError) {
        let pages = limits.pageCount(forTokens: tokens)
        try enqueue(
            (0..<count).compactMap { index in
                .rehearsal(
                    index, tokenCount: tokens,
                    pages: (0..<pages).map { PageIndex((index * pages + $0) % limits.pageCount) })
            })
        _ = try collect()
    }

    /// Whether a step may be enqueued before the one before is collected.
    var runsAhead: Bool { device.isAsynchronous }

    /// Whether it takes pictures that are not cut.
    var cutsPictures: Bool { device.pictureOperators != nil }

    /// Puts tiles through the tower, all at once, and stores their embeddings.
    ///
    /// It belongs to the step that is enqueued next.
    func encode(_ pictures: [PictureTiles]) throws(DeviceError) {
        guard !pictures.isEmpty else { return }
        let bank = banks[enqueuedCount % 2]
        workspace.reset()
        let output = try encoded(pictures)
        let rows = limits.rowsPerImagePage
        var first = 0
        for (index, picture) in pictures.enumerated() {
            let end = first + picture.tokenCount(rowsPerPage: rows)
            device.operators.countFaults(output[first..<end], out: bank.faults[index..<(index + 1)])
            for page in picture.pages where first < end {
                let count = min(rows, end - first), target = Int(page) * rows
                device.operators.gatherRows(
                    output, rows: ascending[first..<(first + count)],
                    out: embeddings[target..<(target + count)])
                first += count
            }
        }
        bank.pictureCount = pictures.count
    }

    /// Stores embeddings that came from elsewhere, f32 [rows, planes · hidden] as bytes, in the pages of a picture.
    func load(_ rows: ArraySlice<UInt8>, pages: [PageIndex]) {
        let count = limits.rowsPerImagePage
        var rest = rows
        for page in pages where !rest.isEmpty {
            let target = embeddings[(Int(page) * count)..<((Int(page) + 1) * count)]
            device.write(rest.prefix(target.byteCount), to: target)
            rest = rest.dropFirst(target.byteCount)
        }
    }

    /// The first `rowCount` rows in the pages of a picture, as bytes, after all work enqueued so far.
    func storedRows(_ rowCount: Int, pages: [PageIndex]) throws(DeviceError) -> [UInt8] {
        let perPage = limits.rowsPerImagePage
        return try device.readBytes(
            pages.enumerated().map { index, page in
                let first = Int(page) * perPage
                return embeddings[first..<(first + max(0, min(perPage, rowCount - index * perPage)))]
            })
    }

    /// The embeddings of all image tokens, f32 [image tokens, planes · hidden], in the workspace.
    ///
    /// Where the tower is there more than once, each takes some of the tiles, or of pictures that it takes as a whole.
    private func encoded(_ pictures: [PictureTiles]) throws(DeviceError) -> Tensor {
        guard let division, division.towerCount > 1 else { return try encodedHere(pictures[...]) }
        let rows = limits.rowsPerImagePage, units = pictures.flatMap { $0.units() }
        let costs = units.map { $0.tokenCount(rowsPerPage: rows) }
        let shares = division.shares(of: costs)
        let starts = costs.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
        let width = planeCount * model.description.text.hiddenSize
        // [image tokens, planes · hidden]
        let all = try workspace.take([starts[units.count], width], .f32)
        let mark = workspace.mark
        let share = shares[division.towerIndex]
        if !share.isEmpty {
            let own = try encodedHere(units[share])
            device.operators.gatherRows(
                own, rows: ascending[0..<own.shape[0]],
                out: all[starts[share.lowerBound]..<starts[share.upperBound]])
        }
        workspace.rewind(to: mark)
        division.collective.share(
            all,
            parts: division.towerIndices.map { tower in
                starts[shares[tower].lowerBound]..<starts[shares[tower].upperBound]
            })
        return all
    }

    /// What this rank's tower makes of `pictures`, at least one.
    private func encodedHere(_ pictures: ArraySlice<PictureTiles>) throws(DeviceError) -> Tensor {
        let size = pictures[pictures.startIndex].size
        // [n, size, size, 3]
        let input = try workspace.take([pictures.reduce(0) { $0 + $1.tileCount }, size, size, 3], .u8)
        var first = 0
        for picture in pictures {
            let out = input[first..<(first + picture.tileCount)]
            if case .picture(let whole, let squares) = picture.content,
                let operators = device.pictureOperators
            {
                try whole.run(squares, on: device, with: operators, workspace: workspace, out: out)
            } else {
                device.write(picture.bytes, to: out)
            }
            first += picture.tileCount
        }
        let encoded = try model.encode(
            tiles: input, grids: pictures.compactMap(\.grid), workspace: workspace)
        return encoded.reshaped([encoded.shape[0] / planeCount, planeCount * encoded.shape[1]])
    }

    /// Enqueues the sequences of a step; a token −1 − i stands for what sequence i of the step before chooses.
    func enqueue(_ sequences: [SequenceStep]) throws(DeviceError) {
        let bank = banks[enqueuedCount % 2], other = banks[(enqueuedCount + 1) % 2]
        enqueuedCount += 1
        // Those of one token first.
        let order =
            sequences.indices.filter { sequences[$0].tokens.count == 1 }
            + sequences.indices.filter { sequences[$0].tokens.count != 1 }
        let ordered = order.map { sequences[$0] }
        bank.sequences = ordered
        bank.choiceRows = [Int32](repeating: -1, count: sequences.count)
        guard !ordered.isEmpty else { return }
        var rules: [SamplingRow] = []
        for (place, sequence) in zip(order, ordered) {
            rules += sequence.rows(vocabularyCount: vocabularyCount, endIDs: endIDs)
            if sequence.choice != nil { bank.choiceRows[place] = Int32(rules.count - 1) }
        }
        let repeats = ordered.allSatisfy {
            $0.tokens.count == 1 && $0.choice != nil && $0.scoring == nil && !$0.hasImageTokens
        }
        let padded = repeats ? device.paddedCount(ordered.count) : ordered.count
        let columns = Self.pageColumns(ordered.map(\.pages.count).max() ?? 0)
        let packed = PackedInputs(
            ordered, axisCount: axisCount, planeCount: planeCount, paddedCount: padded, pageColumns: columns,
            pageSize: limits.pageSize,
            seesWholePictures: model.description.vision?.seesWholePictures ?? false
        ) { sequence in
            // Safe: the scheduler names a sequence of the step before.
            other.choiceRows[sequence]
        }
        device.write(packed.values, to: bank.inputs)
        bank.sampler?.set(rules)
        workspace.reset()
        let batch = packed.batch(
            in: bank.inputs, previous: other.tokens ?? bank.inputs,
            embeddings: embeddings.reshaped([
                embeddings.shape[0] * planeCount, embeddings.shape[1] / planeCount,
            ]), cache: cache)
        let body = { () throws(DeviceError) in
            let logits = try self.model.forward(batch, workspace: self.workspace)
            guard !rules.isEmpty else { return }
            try bank.sampler?.choose(logits)
            if let division = self.division, self.device.isAsynchronous, let tokens = bank.tokens {
                division.collective.share(
                    tokens.reshaped([tokens.elementCount, 1]),
                    parts: (0..<division.collective.rankCount).map { 0..<($0 == 0 ? tokens.elementCount : 0) }
                )
            }
        }
        if records, repeats, rules.allSatisfy(\.isPlain) {
            try device.replay(
                ReplayKey(
                    sequenceCount: padded, pageColumns: columns, bank: (enqueuedCount - 1) % 2,
                    generation: workspace.generation), body)
        } else {
            try body()
        }
        if !rules.isEmpty { bank.sampler?.send() }
    }

    /// What the last `keepCollected` found.
    private(set) var collected = StepResult()

    /// Keeps what `collect` answers.
    func keepCollected() throws(DeviceError) { collected = try collect() }

    /// Counts the oldest step on the way as collected: it could not be enqueued.
    func skip() {
        banks[collectedCount % 2].pictureCount = 0
        collectedCount += 1
    }

    /// Waits for the oldest step on the way: one result a sequence, in the order they were enqueued in.
    func collect() throws(DeviceError) -> StepResult {
        let bank = banks[collectedCount % 2]
        collectedCount += 1
        var result = StepResult()
        defer { bank.pictureCount = 0 }
        try device.check()
        if bank.pictureCount > 0, division?.isFirst ?? true {
            result.soundPictures = try device.readIntegers(bank.faults[0..<bank.pictureCount]).map { $0 == 0 }
        }
        var tokens = (bank.choiceRows.isEmpty ? [] : try bank.sampler?.result() ?? [])[...]
        // Behind the wait: what the device exchanged is void when a rank has left meanwhile.
        if let division, division.collective.isAbandoned { throw RankGroup.abandoned }
        var scores: [RequestID: [SampledToken]] = [:]
        var chosen: [RequestID: SampledToken] = [:]
        for sequence in bank.sequences {
            let count = sequence.scoring?.ids.count ?? 0
            if count > 0 { scores[sequence.id] = Array(tokens.prefix(count)) }
            tokens = tokens.dropFirst(count)
            if sequence.choice != nil { chosen[sequence.id] = tokens.popFirst() }
        }
        result.scores = scores
        result.tokens = chosen.filter { $0.value.id >= 0 }
        return result
    }
}

/// What a step came to.
struct StepResult {
    /// The tokens of prompts that were to be reported on; −1 for one without finite logits.
    var scores: [RequestID: [SampledToken]] = [:]
    /// The tokens that follow; none where none was asked for or it failed.
    var tokens: [RequestID: SampledToken] = [:]
    /// By picture that went through the tower, whether its embeddings are finite.
    var soundPictures: [Bool] = []
}

/// Random numbers by position, so that a token's draw depends on its request alone.
enum CounterRandom {
    /// A number in [0, 1) for draw `index` of `seed`, by the finaliser of SplitMix64 (Steele, Lea, Flood, 2014).
    static func uniform(seed: UInt64, index: Int) -> Double {
        func mix(_ value: UInt64) -> UInt64 {
            var mixed = value
            mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
            return mixed ^ (mixed >> 31)
        }
        // Safe: arithmetic modulo 2⁶⁴ is what the generator asks for.
        let bits = mix(
            mix(seed &+ 0x9e37_79b9_7f4a_7c15) &+ UInt64(truncatingIfNeeded: index) &* 0x9e37_79b9_7f4a_7c15)
        return Double(bits >> 11) * 0x1p-53
    }
}
