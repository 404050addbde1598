import CPUBackend
import Tensors
import Testing

@Suite struct ThreadCollectiveTests {
    /// What `body` makes on each rank, all at the same time.
    private func onRanks<Value: Sendable>(
        _ count: Int, inGroupsOf size: Int = 1,
        _ body: @escaping @Sendable (ThreadCollective, ThreadCollective) throws -> Value,
    ) throws -> [Value] {
        let ranks = ThreadCollective.ranks(count, inGroupsOf: size)
        return try inParallel(count: count, threads: count) { try body(ranks[$0].all, ranks[$0].group) }
    }

    @Test(arguments: [1, 2, 3, 4]) func `all ranks have the sum of all`(count: Int) throws {
        let sums = try onRanks(count) { all, _ in
            let device = CPUDevice(threadCount: 1)
            var results: [[Float]] = []
            for size in [1, 2, 7, 64, 1000] {
                let x = try device.tensor((0..<size).map { Float($0 + 1000 * all.rank) / 3 }, [size])
                all.sum(x)
                results.append(device.readFloats(x))
            }
            return results
        }
        for (index, size) in [1, 2, 7, 64, 1000].enumerated() {
            let expected = (0..<size).map { place in
                (0..<count).reduce(Float(0)) { $0 + Float(place + 1000 * $1) / 3 }
            }
            for rank in 0..<count { #expect(sums[rank][index] == expected, "rank \(rank)") }
        }
    }

    @Test func `groups add by themselves`() throws {
        let sums = try onRanks(4, inGroupsOf: 2) { all, group in
            let device = CPUDevice(threadCount: 1)
            let x = try device.tensor([Float(1 << all.rank)], [1])
            group.sum(x)
            let first = device.readFloats(x)[0]
            all.sum(x)
            return [first, device.readFloats(x)[0]]
        }
        #expect(sums == [[3, 30], [3, 30], [12, 30], [12, 30]])
    }

    @Test func `rows that one rank has reach the others, the same part twice and none`() throws {
        let parts = [0..<2, 0..<2, 2..<2, 2..<5]
        let rows = try onRanks(4) { all, _ in
            let device = CPUDevice(threadCount: 1)
            let own = parts[all.rank]
            let x = try device.tensor((0..<15).map { own.contains($0 / 3) ? Float($0) : -1 }, [5, 3])
            all.share(x, parts: parts)
            return device.readFloats(x)
        }
        for row in rows { #expect(row == (0..<15).map { Float($0) }) }
    }

    @Test func `who is abandoned goes on`() throws {
        let abandoned = try onRanks(3, inGroupsOf: 3) { all, group in
            if all.rank == 2 {
                group.abandon()
                return true
            }
            let x = try CPUDevice(threadCount: 1).tensor([1], [1])
            all.sum(x)
            group.sum(x)
            return all.isAbandoned
        }
        #expect(abandoned == [true, true, true])
    }
}
