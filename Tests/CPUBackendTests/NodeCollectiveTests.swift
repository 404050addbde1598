import CPUBackend
import Glibc
import Nodes
import Tensors
import Testing

struct NodeCollectiveTests {
    /// Connections between the first of `count` nodes and the others, for each node its own.
    private func connections(_ count: Int) throws -> [[Connection]] {
        let listener = try Listener(host: "127.0.0.1", port: 0)
        var all: [[Connection]] = [[]]
        for _ in 1..<count {
            all.append([try Connection.open(host: "127.0.0.1", port: listener.port, seconds: 5)])
            var accepted = listener.accept()
            while accepted == nil { accepted = listener.accept() }
            all[0].append(try #require(accepted))
        }
        return all
    }

    private func places(
        _ count: Int, nodes: Int, inGroupsOf size: Int,
    ) throws -> [(all: any Collective, group: any Collective)] {
        let connections = try connections(nodes)
        return try (0..<nodes).flatMap { node in
            try #require(
                NodeCollective.ranks(
                    count, inGroupsOf: size, node: node, of: nodes, connections: connections[node]))
        }
    }

    /// What `body` makes on each of `count` ranks over `nodes`, all at the same time.
    private func onRanks<Value: Sendable>(
        _ count: Int, nodes: Int, inGroupsOf size: Int? = nil,
        _ body: @escaping @Sendable (any Collective, any Collective) throws -> Value,
    ) throws -> [Value] {
        let ranks = try places(count, nodes: nodes, inGroupsOf: size ?? count)
        return try inParallel(count: count, threads: count) { try body(ranks[$0].all, ranks[$0].group) }
    }

    private static let divisions = [(2, 2), (4, 2), (3, 3), (6, 3)]

    @Test(arguments: divisions) func `all ranks have the sum of all, as one process adds it`(
        count: Int, nodes: Int,
    ) throws {
        let sizes = [1, 2, 7, 64, 1000, 300_000]
        let sums = try onRanks(count, nodes: nodes) { all, _ in
            let device = CPUDevice(threadCount: 1)
            return try sizes.map { size in
                let x = try device.tensor((0..<size).map { Float($0 + 1000 * all.rank) / 3 }, [size])
                all.sum(x)
                return device.readFloats(x)
            }
        }
        for (index, size) in sizes.enumerated() {
            let expected = (0..<size).map { place in
                (0..<count).reduce(Float(0)) { $0 + Float(place + 1000 * $1) / 3 }
            }
            for rank in 0..<count { #expect(sums[rank][index] == expected, "rank \(rank)") }
        }
    }

    @Test func `groups of a node add by themselves`() throws {
        let sums = try onRanks(4, nodes: 2, inGroupsOf: 2) { all, group in
            let device = CPUDevice(threadCount: 1)
            let x = try device.tensor([Float(1 << all.rank)], [1])
            group.sum(x)
            let first = device.readFloats(x)[0]
            all.sum(x)
            return [first, device.readFloats(x)[0]]
        }
        #expect(sums == [[3, 30], [3, 30], [12, 30], [12, 30]])
    }

    @Test(arguments: [
        [0..<2, 0..<2, 2..<2, 2..<5], [0..<1, 1..<3, 3..<4, 4..<5], [0..<5, 0..<0, 0..<0, 0..<0],
    ])
    func `rows that one rank has reach the others`(parts: [Range<Int>]) throws {
        let rows = try onRanks(4, nodes: 2) { all, _ in
            let device = CPUDevice(threadCount: 1)
            let own = parts[all.rank]
            let x = try device.tensor((0..<15).map { own.contains($0 / 3) ? Float($0) : -1 }, [5, 3])
            all.share(x, parts: parts)
            return device.readFloats(x)
        }
        for row in rows { #expect(row == (0..<15).map { Float($0) }) }
    }

    @Test(arguments: divisions) func `columns that one rank has reach the others`(
        count: Int, nodes: Int,
    ) throws {
        let columns = 2 * count + 1
        let parts = (0..<count).map { rank in (2 * rank)..<(rank == count - 1 ? columns : 2 * rank + 2) }
        let found = try onRanks(count, nodes: nodes) { all, _ in
            let device = CPUDevice(threadCount: 1)
            let own = parts[all.rank]
            let x = try device.tensor(
                (0..<(3 * columns)).map { own.contains($0 % columns) ? Float($0) : -1 }, [3, columns])
            all.shareColumns(x, parts: parts)
            return device.readFloats(x)
        }
        for row in found { #expect(row == (0..<(3 * columns)).map { Float($0) }) }
    }

    @Test(arguments: [0, 1, 2]) func `who is abandoned goes on, and meets again`(leaver: Int) throws {
        let ranks = try places(6, nodes: 3, inGroupsOf: 2)
        for round in 0..<20 {
            let abandoned = try inParallel(count: 6, threads: 6) { place in
                let all = ranks[place].all, device = CPUDevice(threadCount: 1)
                let x = try device.tensor([Float(place)], [1])
                // The leaver goes while some have sent what they have, and some have not.
                if place == leaver * 2 {
                    ranks[place].group.abandon()
                    return true
                }
                all.sum(x)
                all.sum(x)
                return all.isAbandoned
            }
            #expect(abandoned == Array(repeating: true, count: 6))
            for node in 0..<3 { ranks[node * 2].all.rejoin() }
            let sums = try inParallel(count: 6, threads: 6) { place in
                let device = CPUDevice(threadCount: 1)
                let x = try device.tensor([Float(place + round)], [1])
                ranks[place].all.sum(x)
                return device.readFloats(x)[0]
            }
            #expect(sums == Array(repeating: Float(15 + 6 * round), count: 6))
        }
    }

    @Test func `parts of many exchanges that were given up do not fill the way`() throws {
        let ranks = try places(2, nodes: 2, inGroupsOf: 2)
        for turn in 0..<8 {
            let sums = try inParallel(count: 2, threads: 2) { rank -> Float in
                let device = CPUDevice(threadCount: 1), x = try device.tensor([Float(rank)], [1])
                if rank == 0, turn < 7 {
                    // The other's part is here, and nobody takes it.
                    usleep(20_000)
                    ranks[0].all.abandon()
                } else {
                    ranks[rank].all.sum(x)
                }
                return device.readFloats(x)[0]
            }
            if turn == 7 {
                #expect(sums == [1, 1] && !ranks[0].all.isAbandoned)
            } else {
                for rank in ranks { rank.all.rejoin() }
            }
        }
    }

    @Test func `a node that goes is no one's to wait for, for ever`() throws {
        var ranks = try places(2, nodes: 2, inGroupsOf: 2)
        ranks.removeLast()
        let all = ranks[0].all, device = CPUDevice(threadCount: 1)
        let x = try device.tensor([1], [1])
        all.sum(x)
        #expect(all.isAbandoned)
        all.rejoin()
        all.sum(x)
        #expect(all.isAbandoned)
    }

    @Test(arguments: [
        [UInt8](repeating: 0xff, count: 64), [UInt8](repeating: 0, count: 64),
        // Too large a part; one of this node itself; one that is not what the ranks exchange.
        [0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255],
        [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3],
    ]) func `a node that says what is not understood has gone`(bytes: [UInt8]) throws {
        let connections = try connections(2)
        let ranks = try #require(
            NodeCollective.ranks(2, inGroupsOf: 2, node: 0, of: 2, connections: connections[0]))
        try connections[1][0].send(bytes)
        let x = try CPUDevice(threadCount: 1).tensor([1], [1])
        ranks[0].all.sum(x)
        #expect(ranks[0].all.isAbandoned)
    }
}
