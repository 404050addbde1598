import CPUBackend
import Tensors
import Testing

@Suite struct SamplingTests {
    /// A softmax in double precision.
    static func softmax(_ logits: [Float], temperature: Double = 1) -> [Double] {
        let most = Double(logits.max() ?? 0)
        let weights = logits.map { exponential((Double($0) - most) / temperature) },
            total = weights.reduce(0, +)
        return weights.map { $0 / total }
    }

    /// The ids in order of falling logit, ties by rising id.
    static func order(_ logits: [Float]) -> [Int] {
        logits.indices.sorted { (logits[$0], -$0) > (logits[$1], -$1) }
    }

    /// The rule spelled out, everything sorted, cut and summed; nil when `uniform` is too near a boundary to tell.
    static func reference(_ logits: [Float], _ row: SamplingRow) -> Int? {
        var allowed = Array(logits.prefix(row.vocabularyCount))
        apply(row.changes, to: &allowed)
        for id in row.bannedIDs { allowed[Int(id)] = -.infinity }
        var kept = order(allowed)
        if row.temperature == 0 { return kept[0] }
        if row.topK > 0 { kept = Array(kept.prefix(row.topK)) }
        var weights = softmax(kept.map { allowed[$0] }, temperature: Double(row.temperature))
        var cumulated = 0.0, count = 0
        while count < kept.count, count == 0 || cumulated < Double(row.topP) {
            cumulated += weights[count]
            count += 1
        }
        let parts = weights.map { $0 / weights[0] - Double(row.minP) }
        if row.minP > 0, parts.contains(where: { abs($0) < 1e-5 && $0 != 1 - Double(row.minP) }) {
            return nil
        }
        count = min(count, parts.count { $0 >= 0 })
        weights = Array(weights.prefix(count))
        let total = weights.reduce(0, +)
        var sum = 0.0
        for (id, weight) in zip(kept, weights) {
            sum += weight / total
            if abs(sum - row.uniform) < 1e-6 { return nil }
            if sum > row.uniform { return id }
        }
        return kept[count - 1]
    }

    /// The changes as their formulas say.
    static func apply(_ changes: LogitChanges, to logits: inout [Float]) {
        func change(_ id: Int32, _ formula: (Float) -> Float) {
            guard logits.indices.contains(Int(id)), logits[Int(id)] > -.infinity else { return }
            logits[Int(id)] = min(max(formula(logits[Int(id)]), -1e30), 1e30)
        }
        for (id, count) in zip(changes.counted.ids, changes.counted.counts) {
            change(id) { $0 > 0 ? $0 / changes.repetition : $0 * changes.repetition }
            change(id) { $0 - changes.frequency * Float(count) }
            change(id) { $0 - changes.presence }
        }
        for id in changes.raisedIDs { change(id) { $0 + changes.raise * abs($0) } }
        for (id, bias) in zip(changes.biasedIDs, changes.biases) { change(id) { $0 + bias } }
        guard let allowed = changes.allowedIDs else { return }
        for id in logits.indices where !allowed.contains(Int32(id)) { logits[id] = -.infinity }
    }

    func sample(_ device: CPUDevice, _ logits: [[Float]], _ rows: [SamplingRow]) throws -> [SampledToken] {
        let tensor = try device.tensor(logits.flatMap(\.self), [logits.count, logits.first?.count ?? 0])
        return try device.sample(tensor, rows)
    }

    @Test(arguments: levels)
    func `every rule chooses as the sorted distribution does`(level: CPULevel) throws {
        let device = CPUDevice(threadCount: 2, level: level)
        var numbers = Numbers(50), compared = 0
        for width in [1, 17, 100, 1000] {
            var rows: [SamplingRow] = [], logits: [[Float]] = []
            for index in 0..<60 {
                var values = numbers.floats(width, size: [0.5, 4, 30][index % 3])
                // Ties, and values that cannot be chosen.
                if index % 4 == 0 { values = values.map { ($0 * 2).rounded() / 2 } }
                if index % 5 == 0, width > 20 { for id in 3..<15 { values[id] = -.infinity } }
                logits.append(values)
                rows.append(
                    SamplingRow(
                        temperature: [0, 0.3, 1, 2.5][index % 4], topK: [0, 1, 5, 40, 2000][index % 5],
                        topP: [1, 0.9, 0.5, 0.05, 0][index / 12],
                        minP: [0, 0, 0.3, 0.01, 1e-6, 1, 0][index % 7],
                        uniform: Double.random(in: 0..<1, using: &numbers),
                        bannedIDs: index % 6 == 0 && width > 20 ? [0, 7, Int32(width / 3)] : [],
                        vocabularyCount: index % 7 == 0 ? (width + 1) / 2 : width))
            }
            for (index, token) in try sample(device, logits, rows).enumerated() {
                guard let expected = Self.reference(logits[index], rows[index]) else { continue }
                #expect(Int(token.id) == expected, "width \(width), row \(index)")
                compared += 1
            }
        }
        #expect(compared > 200)
    }

    @Test(arguments: levels)
    func `log-probabilities, ranks and the likeliest are of the untouched softmax`(level: CPULevel) throws {
        let device = CPUDevice(threadCount: 2, level: level)
        var numbers = Numbers(51)
        var logits = numbers.floats(3001, size: 6)
        for id in stride(from: 0, to: 3000, by: 5) { logits[id + 1] = logits[id] }
        let order = Self.order(logits), probabilities = Self.softmax(logits)
        let rows = (0..<40).map {
            SamplingRow(
                temperature: 1.7, topK: 500, uniform: (Double($0) + 0.5) / 40, bannedIDs: [Int32(order[0])],
                vocabularyCount: 3001, topLogprobCount: $0 % 21)
        }
        for (row, token) in zip(rows, try sample(device, Array(repeating: logits, count: 40), rows)) {
            #expect(token.rank == Int32((order.firstIndex(of: Int(token.id)) ?? -1) + 1) && token.rank > 1)
            #expect(token.top.map(\.id) == order.prefix(row.topLogprobCount).map { Int32($0) })
            for candidate in token.top + [SampledToken.Candidate(id: token.id, logprob: token.logprob)] {
                let ratio = exponential(Double(candidate.logprob)) / probabilities[Int(candidate.id)]
                #expect(abs(ratio - 1) < 1e-5)
            }
        }
        let greedy = try sample(device, [logits], [SamplingRow(vocabularyCount: 3001)])[0]
        #expect(greedy.id == Int32(order[0]) && greedy.rank == 1 && greedy.top.isEmpty)
    }

    @Test(arguments: levels)
    func `evenly spaced uniforms give each token its share`(level: CPULevel) throws {
        let device = CPUDevice(threadCount: 2, level: level)
        var numbers = Numbers(52)
        let logits = numbers.floats(50, size: 3), count = 1000, temperature: Float = 0.7
        let rows = (0..<count).map {
            SamplingRow(
                temperature: temperature, topP: 0.95, uniform: (Double($0) + 0.5) / Double(count),
                vocabularyCount: 50)
        }
        var shares = [Double](repeating: 0, count: 50)
        for token in try sample(device, Array(repeating: logits, count: count), rows) {
            shares[Int(token.id)] += 1 / Double(count)
        }
        var probabilities = Self.softmax(logits, temperature: Double(temperature)), sum = 0.0
        for id in Self.order(logits) {
            let kept = sum < 0.95
            sum += probabilities[id]
            if !kept { probabilities[id] = 0 }
        }
        let total = probabilities.reduce(0, +)
        for (share, probability) in zip(shares, probabilities) {
            #expect(abs(share - probability / total) <= 1.01 / Double(count))
        }
    }

    @Test(arguments: levels)
    func `a row that is not a number chooses nothing and spoils no other`(level: CPULevel) throws {
        let device = CPUDevice(threadCount: 2, level: level)
        var numbers = Numbers(53)
        for temperature in [Float(0), 1] {
            var logits = (0..<5).map { _ in numbers.floats(77) }
            logits[1][76] = .nan
            logits[2] = [Float](repeating: -.infinity, count: 77)
            logits[3] = [Float](repeating: .nan, count: 77)
            let rule = SamplingRow(
                temperature: temperature, uniform: 0.5, vocabularyCount: 77, topLogprobCount: 2)
            let tokens = try sample(device, logits, [SamplingRow](repeating: rule, count: 5))
            #expect(tokens.map { $0.id < 0 } == [false, true, true, true, false])
            var all = rule
            all.bannedIDs = (0..<77).map(Int32.init)
            #expect(try sample(device, [logits[0]], [all])[0].id == -1)
        }
    }

    @Test func `a large vocabulary gives the same at every level`() throws {
        var numbers = Numbers(54)
        let logits = numbers.floats(151_936, size: 12)
        let rows = (0..<20).map {
            SamplingRow(
                temperature: 0.9, topK: $0 < 10 ? 0 : 50, topP: $0 % 2 == 0 ? 1 : 0.9,
                uniform: (Double($0) + 0.3) / 20, vocabularyCount: 151_936)
        }
        let all = Array(repeating: logits, count: 20)
        let first = try sample(CPUDevice(threadCount: 2), all, rows).map(\.id)
        for level in levels {
            #expect(try sample(CPUDevice(threadCount: 1, level: level), all, rows).map(\.id) == first)
        }
        if let expected = Self.reference(logits, rows[13]) { #expect(Int(first[13]) == expected) }
    }
}
