import CKernels
package import Nodes
import Synchronization
package import Tensors

/// Ranks of several nodes, each a process that runs some of them as threads, over TCP.
///
/// Every node hands the others what its ranks bring, and each adds up all of it in the order of the ranks: sums are those
/// of one process, to the bit.
package final class NodeCollective: Collective {
    package let rank: Int
    package let rankCount: Int
    private let meeting: Meeting
    private let meetings: [Meeting]
    private let wires: NodeWires
    /// What the other nodes brought to the exchange under way.
    private let received: Received

    /// A place that the ranks of a node share.
    private final class Received: Sendable {
        let parts = Mutex<[ReceivedBytes?]>([])
    }

    /// For each of this node's ranks its way to all `count` ranks, and to its group of `size`: all of them, or some of this
    /// node.
    ///
    /// Every node has as many ranks, the first of them first. `connections` are those of the first node to the others in
    /// order, or that of another node to the first. Nil when the system gives no thread.
    package static func ranks(
        _ count: Int, inGroupsOf size: Int, node: Int, of nodeCount: Int, connections: [Connection],
    ) -> [(all: any Collective, group: any Collective)]? {
        precondition(nodeCount > 1 && (0..<nodeCount).contains(node), "several nodes")
        precondition(count > 0 && count.isMultiple(of: nodeCount), "as many ranks on every node")
        let local = count / nodeCount
        precondition(size == count || local.isMultiple(of: size), "a group is of one node, or all")
        guard let wires = NodeWires(node: node, nodeCount: nodeCount, connections: connections) else {
            return nil
        }
        let meeting = Meeting(rankCount: local, wires.abandonment)
        let groups =
            size == count ? [] : (0..<(local / size)).map { _ in Meeting(rankCount: size, wires.abandonment) }
        let received = Received()
        return (0..<local).map { index in
            let all = NodeCollective(
                rank: node * local + index, of: count, meeting, [meeting] + groups, wires, received)
            guard size < count else { return (all, all) }
            return (all, ThreadCollective(rank: index % size, groups[index / size], [meeting] + groups))
        }
    }

    private init(
        rank: Int, of rankCount: Int, _ meeting: Meeting, _ meetings: [Meeting], _ wires: NodeWires,
        _ received: Received,
    ) {
        self.rank = rank
        self.rankCount = rankCount
        self.meeting = meeting
        self.meetings = meetings
        self.wires = wires
        self.received = received
    }

    package var isAbandoned: Bool { meeting.isAbandoned }
    package func abandon() { meeting.abandon() }
    package func rejoin() {
        for meeting in meetings { meeting.reset() }
        meeting.abandonment.end()
    }

    /// This node's ranks.
    private var localCount: Int { meeting.rankCount }
    private var localRank: Int { rank % localCount }
    private func node(of rank: Int) -> Int { rank / localCount }
    private func ranks(of node: Int) -> Range<Int> { (node * localCount)..<((node + 1) * localCount) }

    package func sum(_ x: Tensor) {
        precondition(x.elementType == .f32, "f32 is added")
        let byteCount = x.elementCount * x.elementType.byteCount
        unsafe exchange(x, byteCounts: Array(repeating: localCount * byteCount, count: wires.nodeCount)) {
            // Safe: the tensors of this node's ranks, all of that size.
            unsafe (0..<localCount).map { unsafe bytes(of: $0, from: 0, count: byteCount) }
        } use: { received in
            let parts: [UnsafeMutablePointer<Float>?] = unsafe (0..<rankCount).map { rank in
                let place = rank % localCount
                guard let content = received[node(of: rank)] else {
                    return unsafe pointer(meeting.address(of: place)).assumingMemoryBound(to: Float.self)
                }
                return unsafe content.bytes.baseAddress?.advanced(by: place * byteCount)
                    .assumingMemoryBound(to: Float.self)
            }
            let (first, last) = (
                localRank * x.elementCount / localCount, (localRank + 1) * x.elementCount / localCount
            )
            // Safe: every part has as many elements, and nobody else touches those of this rank's share.
            unsafe parts.withUnsafeBufferPointer {
                unsafe vireo_sum_everywhere($0.baseAddress, rankCount, first, last)
            }
        }
    }

    package func shareColumns(_ x: Tensor, parts: [Range<Int>]) {
        let columns = x.shape.columnCount, rows = x.shape.rowCount
        precondition(
            x.elementType.byteCount == 4 && parts.count == rankCount, "four bytes, and a part for each rank")
        precondition(
            parts.allSatisfy { $0.lowerBound >= 0 && $0.upperBound <= columns }, "parts of the columns")
        /// The ranks of a node that are the first with their part.
        func owners(_ node: Int) -> [Int] { ranks(of: node).filter { parts.firstIndex(of: parts[$0]) == $0 } }
        let byteCounts = (0..<wires.nodeCount).map { node in
            owners(node).reduce(0) { $0 + parts[$1].count * rows * 4 }
        }
        unsafe exchange(x, byteCounts: byteCounts) {
            unsafe owners(node(of: rank)).flatMap { owner in
                unsafe (0..<rows).map { row in
                    // Safe: columns of a row of the owner's tensor.
                    unsafe bytes(
                        of: owner % localCount, from: (row * columns + parts[owner].lowerBound) * 4,
                        count: parts[owner].count * 4)
                }
            }
        } use: { received in
            for node in 0..<wires.nodeCount {
                var place = 0
                for owner in owners(node) {
                    let part = parts[owner], count = part.count * 4
                    defer { place += rows * count }
                    if part == parts[rank] { continue }
                    for row in 0..<rows {
                        let start = (row * columns + part.lowerBound) * 4, sent = place + row * count
                        // Safe: both sides have these columns; the owner does not write its own meanwhile.
                        let source =
                            if let content = received[node] {
                                unsafe UnsafeRawBufferPointer(
                                    rebasing: UnsafeRawBufferPointer(content.bytes)[sent..<(sent + count)])
                            } else {
                                unsafe bytes(of: owner % localCount, from: start, count: count)
                            }
                        unsafe UnsafeMutableRawBufferPointer(
                            start: pointer(x.address).advanced(by: start), count: count
                        ).copyMemory(from: source)
                    }
                }
            }
        }
    }

    /// Meets the other ranks of the node with `x`; the first of them hands over what they `bring`, then each may `use` what
    /// came from the other nodes.
    private func exchange(
        _ x: Tensor, byteCounts: [Int], bring: () -> [UnsafeRawBufferPointer],
        use: ([ReceivedBytes?]) -> Void,
    ) {
        meeting.come(localRank, x.address)
        // The others' tensors are whole, and stay, only while all keep meeting.
        if meeting.wait() {
            if localRank == 0, let parts = unsafe wires.exchange(bring(), byteCounts: byteCounts) {
                received.parts.withLock { $0 = parts }
            }
            if meeting.wait() { use(received.parts.withLock(\.self)) }
        }
        meeting.wait()
    }

    // Safe: bytes of the tensor that a rank of this node has brought, which stays until all have met again.
    @unsafe private func bytes(of place: Int, from start: Int, count: Int) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(
            start: pointer(meeting.address(of: place)).advanced(by: start), count: count)
    }

    // Safe: an address of a tensor in host memory, which is never null.
    @unsafe private func pointer(_ address: UInt) -> UnsafeMutableRawPointer {
        guard let pointer = unsafe UnsafeMutableRawPointer(bitPattern: address) else {
            preconditionFailure("a tensor lies somewhere")
        }
        return unsafe pointer
    }
}
