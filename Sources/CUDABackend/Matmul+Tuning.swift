import CCUDA
import Synchronization
import Tensors

/// The library's first guess is often a tenth slower than its best, which only measuring tells. What was measured is kept
/// on disk for every number of rows that a step may have.
extension Matmul {
    private static let mostCandidates = 8
    private static let rounds = 4

    /// Does the work of `body`, then measures its large products, where that was not done before, on the tensors they had.
    func tune(after body: () throws(DeviceError) -> Void) throws(DeviceError) {
        choices.withLock { $0.watch() }
        do throws(DeviceError) {
            try body()
        } catch {
            _ = choices.withLock { $0.endWatching() }
            throw error
        }
        let calls = choices.withLock { $0.endWatching() }
        var timers: [(start: CUDAEvent, end: CUDAEvent)] = []
        for (product, call) in calls {
            let missing = Self.buckets(upTo: call.rows).filter { rows in
                !choices.withLock { $0.isMeasured(product, rows: rows) }
            }
            guard !missing.isEmpty else { continue }
            while timers.count < Self.mostCandidates {
                timers.append(
                    (
                        try CUDAEvent(stream: stream, isTimed: true),
                        try CUDAEvent(stream: stream, isTimed: true)
                    ))
            }
            var found: [Int: vireo_matmul_choice] = [:]
            for rows in missing { found[rows] = try fastest(product, call, rows: rows, timers) }
            choices.withLock { $0.keep(found, of: product) }
            store.keep(
                Self.bytes(choices.withLock { $0.measured(product) }), for: storeKey(product))
        }
    }

    /// The algorithm that takes the least time; nil when there is none.
    private func fastest(
        _ product: Product, _ call: ProductCall, rows: Int, _ timers: [(start: CUDAEvent, end: CUDAEvent)],
    ) throws(DeviceError) -> vireo_matmul_choice? {
        let candidates = guesses(product, rows: rows, atMost: Self.mostCandidates)
        guard candidates.count > 1 else { return candidates.first }
        // A bucket may have more rows than the tensors.
        let call = ProductCall(
            rows: min(rows, call.rows), x: call.x, w: call.w, bias: call.bias, out: call.out)
        // The first time may load a kernel.
        var contenders = candidates.indices.filter { run(product, call, candidates[$0]) == 0 }
        var times = [Double](repeating: .infinity, count: candidates.count)
        for round in 0..<Self.rounds {
            for index in contenders {
                // In a step the weights have not been read a moment ago.
                stream.fill(workspace.address, byteCount: workspace.byteCount)
                timers[index].start.record()
                _ = run(product, call, candidates[index])
                timers[index].end.record()
            }
            try stream.wait()
            for index in contenders {
                times[index] = min(times[index], timers[index].end.milliseconds(since: timers[index].start))
            }
            let least = times.min() ?? 0
            if round == 0 { contenders = contenders.filter { times[$0] <= 1.15 * least } }
        }
        let best = times.indices.min { times[$0] < times[$1] } ?? 0
        // A difference within the noise is none.
        return times[best] < 0.98 * times[0] ? candidates[best] : candidates[0]
    }

    /// All buckets of at most `rows` rows, the one of `rows` included.
    static func buckets(upTo rows: Int) -> [Int] {
        var buckets: [Int] = []
        while (buckets.last ?? 0) < rows { buckets.append(bucket((buckets.last ?? 0) + 1)) }
        return buckets
    }

    // MARK: On disk

    /// What was measured for `product` in an earlier run, by rows.
    func kept(_ product: Product) -> [Int: vireo_matmul_choice] {
        guard let bytes = store.code(for: storeKey(product)) else { return [:] }
        let words = stride(from: 0, to: bytes.count - bytes.count % 8, by: 8).map { start in
            bytes[start..<(start + 8)].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        }
        let length = 2 + Int(vireo_algorithm_words)
        var choices: [Int: vireo_matmul_choice] = [:]
        for start in stride(from: 0, to: words.count - words.count % length, by: length) {
            guard let rows = Int(exactly: words[start]), let workspace = Int(exactly: words[start + 1]) else {
                continue
            }
            var choice = vireo_matmul_choice()
            choice.workspace_bytes = workspace
            unsafe withUnsafeMutableBytes(of: &choice.algorithm) { algorithm in
                unsafe algorithm.copyBytes(from: bytes[((start + 2) * 8)..<((start + length) * 8)])
            }
            choices[rows] = choice
        }
        return choices
    }

    /// Rows, workspace and algorithm of each, in words of eight bytes, the lowest first.
    private static func bytes(_ choices: [Int: vireo_matmul_choice]) -> [UInt8] {
        choices.sorted { $0.key < $1.key }.flatMap { rows, choice in
            let head = [UInt64(rows), UInt64(choice.workspace_bytes)].flatMap { word in
                (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
            }
            return unsafe head + withUnsafeBytes(of: choice.algorithm) { unsafe Array($0) }
        }
    }

    /// All that the choice depends on.
    private func storeKey(_ product: Product) -> String {
        let version = stream.libraries.blas.version()
        return
            "product \(product.outputs)x\(product.inputs) \(product.outIsFloat) \(product.hasBias) \(product.adds), "
            + "cuBLASLt \(version), \(stream.properties.name), \(workspace.byteCount)"
    }
}
