import CKernels
import Tensors

/// Chooses at once, on the processor's threads.
final class CPUSampler: TokenSampler, @unchecked Sendable {
    // Safe: used by one thread, as the contract says.
    let tokens: Tensor
    private let pool: WorkerPool
    private var rules: [SamplingRow] = []
    private var chosen: [SampledToken] = []

    init(pool: WorkerPool, tokens: Tensor) {
        self.pool = pool
        self.tokens = tokens
    }

    func set(_ rules: [SamplingRow]) { self.rules = rules }

    func choose(_ logits: Tensor) throws(DeviceError) {
        precondition(logits.shape.rowCount >= rules.count, "a row of logits for each rule")
        chosen = sample(
            logits.reshaped([logits.shape.rowCount, logits.shape.columnCount])[0..<rules.count], rows: rules)
        let places = unsafe tokens.integers
        // Safe: there are as many places as the capacity.
        for (row, token) in chosen.enumerated() { unsafe places[row] = token.id }
    }

    func send() {}

    func result() throws(DeviceError) -> [SampledToken] { chosen }

    // id = the first token, from the likeliest down, at which the kept probabilities' sum passes uniform
    private func sample(_ logits: Tensor, rows: [SamplingRow]) -> [SampledToken] {
        if rows.isEmpty { return [] }
        let width = logits.shape.columnCount
        precondition(
            rows.allSatisfy { $0.givenID.map { Int($0) < width } ?? true }, "a given token has a logit")
        let topCounts = rows.map { max(0, min($0.topLogprobCount, width)) }
        var candidates = [vireo_candidate](repeating: vireo_candidate(), count: topCounts.reduce(0, +))
        var lists = RowLists()
        let places = rows.map { lists.append($0) }
        return unsafe lists.ids.withUnsafeBufferPointer { ids in
            unsafe lists.biases.withUnsafeBufferPointer { biases in
                unsafe candidates.withUnsafeMutableBufferPointer { candidates in
                    // Safe: each row's pointers lie within the three buffers, which outlive the call.
                    var rules: [vireo_sampling_row] = unsafe []
                    var results: [vireo_sampled] = unsafe []
                    var topStart = 0
                    for ((row, places), topCount) in zip(zip(rows, places), topCounts) {
                        unsafe rules.append(rule(row, places, ids.baseAddress, biases.baseAddress, topCount))
                        var result = unsafe vireo_sampled()
                        unsafe result.top = candidates.baseAddress.map { unsafe $0 + topStart }
                        unsafe results.append(result)
                        topStart += topCount
                    }
                    let sampled = unsafe vireo_sample(
                        pool.handle, logits.floats, rows.count, width, rules, &results)
                    precondition(sampled, "there is memory to sort a row of logits")
                    return unsafe results.map { unsafe token($0) }
                }
            }
        }
    }

    private func rule(
        _ row: SamplingRow, _ places: RowLists.Places, _ ids: UnsafePointer<Int32>?,
        _ biases: UnsafePointer<Float>?, _ topCount: Int,
    ) -> vireo_sampling_row {
        func list(_ place: Int) -> UnsafePointer<Int32>? { unsafe ids.map { unsafe $0 + place } }
        let changes = unsafe vireo_logit_changes(
            counted: list(places.counted), counts: list(places.counts), raised: list(places.raised),
            biased: list(places.biased), allowed: list(places.allowed),
            biases: biases.map { unsafe $0 + places.biases }, counted_count: row.changes.counted.ids.count,
            raised_count: row.changes.raisedIDs.count, biased_count: row.changes.biasedIDs.count,
            allowed_count: row.changes.allowedIDs?.count ?? 0, repetition: row.changes.repetition,
            frequency: row.changes.frequency, presence: row.changes.presence, raise: row.changes.raise,
            limits: row.changes.allowedIDs != nil)
        return unsafe vireo_sampling_row(
            changes: changes, uniform: row.uniform, banned: list(places.banned),
            banned_count: row.bannedIDs.count, vocabulary: max(0, row.vocabularyCount), top_count: topCount,
            top_k: Int64(row.topK), temperature: row.temperature, top_p: row.topP, min_p: row.minP,
            given: row.givenID ?? -1)
    }

    private func token(_ result: vireo_sampled) -> SampledToken {
        // Safe: the kernel wrote `top_count` candidates.
        let top = unsafe UnsafeBufferPointer(start: result.top, count: result.top_count).map {
            SampledToken.Candidate(id: $0.id, logprob: $0.logprob)
        }
        return unsafe SampledToken(id: result.id, logprob: result.logprob, rank: result.rank, top: top)
    }
}

/// The lists of all rows, one behind another, for the kernel to point into.
private struct RowLists {
    /// Where a row's lists begin.
    struct Places {
        let counted, counts, raised, biased, allowed, banned, biases: Int
    }

    private(set) var ids: [Int32] = []
    private(set) var biases: [Float] = []

    mutating func append(_ row: SamplingRow) -> Places {
        let changes = row.changes
        precondition(changes.biases.count == changes.biasedIDs.count, "a bias for every id")
        defer { biases += changes.biases }
        return Places(
            counted: place(changes.counted.ids), counts: place(changes.counted.counts),
            raised: place(changes.raisedIDs), biased: place(changes.biasedIDs),
            allowed: place(changes.allowedIDs ?? []), banned: place(row.bannedIDs), biases: biases.count)
    }

    private mutating func place(_ list: [Int32]) -> Int {
        defer { ids += list }
        return ids.count
    }
}
