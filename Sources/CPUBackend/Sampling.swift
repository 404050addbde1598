import CKernels
import Tensors

extension CPUOperators {
    // id = the first token, from the likeliest down, at which the kept probabilities' sum passes uniform
    func sample(_ logits: Tensor, rows: [SamplingRow]) -> [SampledToken] {
        precondition(logits.elementCount == rows.count * logits.shape.columnCount, "logits is [R, V]")
        let width = logits.shape.columnCount
        let bans = rows.flatMap(\.bannedIDs)
        let topCounts = rows.map { max(0, min($0.topLogprobCount, width)) }
        var candidates = [vireo_candidate](repeating: vireo_candidate(), count: topCounts.reduce(0, +))
        return unsafe bans.withUnsafeBufferPointer { bans in
            unsafe candidates.withUnsafeMutableBufferPointer { candidates in
                // Safe: each row's pointers lie within the two buffers, which outlive the call.
                var rules: [vireo_sampling_row] = unsafe []
                var results: [vireo_sampled] = unsafe []
                var banStart = 0, topStart = 0
                for (row, topCount) in zip(rows, topCounts) {
                    unsafe rules.append(
                        vireo_sampling_row(
                            uniform: row.uniform, banned: bans.baseAddress.map { unsafe $0 + banStart },
                            banned_count: row.bannedIDs.count, vocabulary: max(0, row.vocabularyCount),
                            top_count: topCount, top_k: Int64(row.topK), temperature: row.temperature,
                            top_p: row.topP))
                    var result = unsafe vireo_sampled()
                    unsafe result.top = candidates.baseAddress.map { unsafe $0 + topStart }
                    unsafe results.append(result)
                    banStart += row.bannedIDs.count
                    topStart += topCount
                }
                let sampled = unsafe vireo_sample(
                    pool.handle, logits.floats, rows.count, width, rules, &results)
                precondition(sampled, "there is memory to sort a row of logits")
                return unsafe results.map { unsafe token($0) }
            }
        }
    }

    private func token(_ result: vireo_sampled) -> SampledToken {
        // Safe: the kernel wrote `top_count` candidates.
        let top = unsafe UnsafeBufferPointer(start: result.top, count: result.top_count).map {
            SampledToken.Candidate(id: $0.id, logprob: $0.logprob)
        }
        return unsafe SampledToken(id: result.id, logprob: result.logprob, rank: result.rank, top: top)
    }
}
