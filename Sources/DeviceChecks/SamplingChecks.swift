import Tensors

extension CheckedPair {
    /// Rules of many kinds over rows of logits, NaN and banned ones among them.
    func checkSampling() throws(DeviceError) {
        for (rows, width) in [(1, 97), (5, 1000), (3, 32_003), (40, 4096), (2, 151_674)] {
            let logits = try floats(numbers(rows * width, size: 6), [rows, width])
            var kinds: [(String, (Int) -> SamplingRow)] = []
            let vocabulary = width - width / 50
            kinds.append(("greedy", { _ in SamplingRow(vocabularyCount: vocabulary) }))
            for (temperature, topK, topP, minP) in [
                (Float(1), 0, Float(1), Float(0)), (0.7, 50, 1, 0), (1.3, 0, 0.9, 0), (0.5, 5, 0.5, 0),
                (1, 0, 1, 0.1), (2, 100, 0.95, 0.02), (1, 1, 1, 0),
            ] {
                kinds.append(
                    (
                        "temperature \(temperature), k \(topK), p \(topP), min p \(minP)",
                        { row in
                            SamplingRow(
                                temperature: temperature, topK: topK, topP: topP, minP: minP,
                                uniform: Double(row * 37 % 101) / 101, vocabularyCount: vocabulary)
                        }
                    ))
            }
            kinds.append(("changed", { [self] _ in changedRow(vocabulary) }))
            kinds.append(
                (
                    "given",
                    { SamplingRow(vocabularyCount: vocabulary, topLogprobCount: 5, givenID: Int32($0)) }
                ))
            for (name, rule) in kinds {
                let rules = (0..<rows).map(rule)
                let expected = try Self.choose(rules, logits.reference, on: reference)
                let found = try Self.choose(rules, logits.device, on: device)
                // A sum's rounding may decide between neighbours once in a while.
                let equal = zip(expected, found).count { $0.id == $1.id }
                expect("sample", "\(name), \(rows)×\(width): \(equal) of \(rows)", equal >= rows - rows / 20)
                let close = zip(expected, found).allSatisfy {
                    $0.id != $1.id
                        || (abs($0.logprob - $1.logprob) < 1e-3 && $0.rank == $1.rank
                            && $0.top.map(\.id) == $1.top.map(\.id))
                }
                expect("sample", "\(name), \(rows)×\(width): probabilities and ranks", close)
            }
        }
        let broken = try floats([Float](repeating: .nan, count: 200) + numbers(100), [3, 100])
        let rules = (0..<3).map { _ in SamplingRow(vocabularyCount: 100) }
        let found = try Self.choose(rules, broken.device, on: device)
        expect("sample", "rows of NaN", found.map { $0.id < 0 } == [true, true, false])
    }

    private func changedRow(_ vocabulary: Int) -> SamplingRow {
        func ids(_ count: Int) -> [Int32] { Array(Set((0..<count).map { _ in Int32(below(vocabulary)) })) }
        var changes = LogitChanges()
        let counted = ids(30)
        changes.counted = TokenCounts(ids: counted, counts: counted.map { _ in Int32(1 + below(4)) })
        (changes.repetition, changes.frequency, changes.presence) = (1.3, 0.2, 0.1)
        (changes.raisedIDs, changes.raise) = (ids(2), 0.5)
        changes.biasedIDs = ids(20)
        changes.biases = changes.biasedIDs.map { _ in Float(below(200) - 100) / 20 }
        if below(2) == 0 { changes.allowedIDs = ids(60).sorted() }
        return SamplingRow(
            temperature: below(2) == 0 ? 0 : 0.8, topP: 0.9, uniform: Double(below(1000)) / 1000,
            changes: changes,
            bannedIDs: ids(5), vocabularyCount: vocabulary, topLogprobCount: below(3) * 4)
    }

    private static func choose(
        _ rules: [SamplingRow], _ logits: Tensor, on device: any Device,
    ) throws(DeviceError) -> [SampledToken] {
        let sampler = try device.makeSampler(capacity: rules.count, vocabularyCount: logits.shape.columnCount)
        sampler.set(rules)
        try sampler.choose(logits)
        sampler.send()
        return try sampler.result()
    }
}
