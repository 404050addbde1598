import CPUBackend
import Tensors
import Testing

/// What is done to logits before the choice.
@Suite struct LogitChangesTests {
    private func sample(_ device: CPUDevice, _ logits: [[Float]], _ rows: [SamplingRow]) throws
        -> [SampledToken]
    {
        let tensor = try device.tensor(logits.flatMap(\.self), [logits.count, logits.first?.count ?? 0])
        return try device.sample(tensor, rows)
    }

    /// Distinct ids, some beyond the row.
    private func ids(_ count: Int, width: Int, _ numbers: inout Numbers) -> [Int32] {
        Array((0..<Int32(width + 3)).shuffled(using: &numbers).prefix(count))
    }

    private func changes(_ index: Int, width: Int, _ numbers: inout Numbers) -> LogitChanges {
        var changes = LogitChanges()
        if index % 2 == 0 {
            let counted = ids(width / 3 + 1, width: width, &numbers)
            changes.counted = TokenCounts(
                ids: counted, counts: counted.map { _ in Int32.random(in: 1...9, using: &numbers) })
            changes.repetition = [1, 1.3, 4, 0.5][index / 2 % 4]
            changes.frequency = [0, 0.4, -0.2][index % 3]
            changes.presence = [0, 1.5][index % 5 % 2]
        }
        if index % 3 == 0 {
            changes.raisedIDs = ids(2, width: width, &numbers)
            changes.raise = [0.1, 3, 1e30][index / 3 % 3]
        }
        if index % 4 == 1 {
            changes.biasedIDs = ids(width / 2 + 1, width: width, &numbers)
            changes.biases = changes.biasedIDs.map { _ in Float.random(in: -10...10, using: &numbers) }
        }
        if index % 5 == 4 { changes.allowedIDs = (ids(3, width: width, &numbers) + [0]).sorted() }
        return changes
    }

    @Test(arguments: levels)
    func `changed logits are chosen from as the formulas say`(level: CPULevel) throws {
        let device = CPUDevice(threadCount: 2, level: level)
        var numbers = Numbers(60), compared = 0
        for width in [1, 40, 700] {
            var rows: [SamplingRow] = [], logits: [[Float]] = []
            for index in 0..<120 {
                var values = numbers.floats(width, size: 5)
                if index % 7 == 0, width > 1 { values[1] = -.infinity }
                logits.append(values)
                rows.append(
                    SamplingRow(
                        temperature: index % 3 == 0 ? 0 : 1, topP: index % 2 == 0 ? 1 : 0.8,
                        uniform: Double.random(in: 0..<1, using: &numbers),
                        changes: changes(index, width: width, &numbers),
                        bannedIDs: index % 8 == 7 && width > 1 ? [Int32(width - 1)] : [],
                        vocabularyCount: width))
            }
            for (index, token) in try sample(device, logits, rows).enumerated() {
                guard let expected = SamplingTests.reference(logits[index], rows[index]) else { continue }
                #expect(Int(token.id) == expected, "width \(width), row \(index)")
                compared += 1
            }
        }
        #expect(compared > 300)
    }

    @Test func `each change does what it is for`() throws {
        let device = CPUDevice(threadCount: 1)
        func greedy(_ logits: [Float], _ set: (inout LogitChanges) -> Void) throws -> Int32 {
            var row = SamplingRow(vocabularyCount: logits.count)
            set(&row.changes)
            return try sample(device, [logits], [row])[0].id
        }
        let counted = TokenCounts(ids: [0], counts: [2])
        #expect(try greedy([3, 2]) { ($0.counted, $0.repetition) = (counted, 2) } == 1)
        #expect(try greedy([-2, -3]) { ($0.counted, $0.repetition) = (counted, 2) } == 1)
        #expect(try greedy([3, 2]) { ($0.counted, $0.frequency) = (counted, 0.4) } == 0)
        #expect(try greedy([3, 2]) { ($0.counted, $0.frequency) = (counted, 0.6) } == 1)
        #expect(try greedy([3, 2]) { ($0.counted, $0.presence) = (counted, 0.9) } == 0)
        #expect(try greedy([3, 2]) { ($0.counted, $0.presence) = (counted, 1.1) } == 1)
        #expect(try greedy([3, -1]) { ($0.raisedIDs, $0.raise) = ([1], 4.5) } == 1)
        #expect(try greedy([3, 2]) { ($0.biasedIDs, $0.biases) = ([1], [1.5]) } == 1)
        #expect(try greedy([3, 2, 1]) { $0.allowedIDs = [1, 2] } == 1)
        #expect(try greedy([3, 2, 1]) { $0.allowedIDs = [] } == -1)
    }

    @Test(arguments: levels)
    func `log-probabilities and ranks do not see the changes`(level: CPULevel) throws {
        let device = CPUDevice(threadCount: 2, level: level)
        var numbers = Numbers(61)
        let logits = numbers.floats(500, size: 4)
        var changed = SamplingRow(vocabularyCount: 500, topLogprobCount: 5)
        changed.changes.biasedIDs = [17]
        changed.changes.biases = [100]
        var given = SamplingRow(vocabularyCount: 500, topLogprobCount: 5)
        given.givenID = 17
        let tokens = try sample(device, [logits, logits], [changed, given])
        #expect(tokens[0] == tokens[1] && tokens[0].id == 17)
        let order = SamplingTests.order(logits)
        #expect(tokens[0].rank == Int32((order.firstIndex(of: 17) ?? -1) + 1))
        #expect(tokens[0].top.map(\.id) == order.prefix(5).map { Int32($0) })
    }
}
