import Glibc
import Nodes
import Synchronization
import Tensors

/// A piece of memory that was received.
@safe final class ReceivedBytes: @unchecked Sendable {
    // Safe: ranks write to parts that are theirs alone.
    let bytes: UnsafeMutableRawBufferPointer

    /// Memory for `byteCount` bytes, aligned to 64; nil when there is none.
    init?(byteCount: Int) {
        var memory: UnsafeMutableRawPointer?
        guard unsafe posix_memalign(&memory, 64, max(64, byteCount)) == 0 else { return nil }
        unsafe bytes = UnsafeMutableRawBufferPointer(start: memory, count: byteCount)
    }

    deinit { unsafe free(bytes.baseAddress) }
}

/// What ranks of one node send to those of the others.
struct NodeFrame: Sendable {
    /// What a frame says.
    enum Kind: UInt8 {
        /// The bytes a node brings to an exchange.
        case part
        /// A rank has abandoned the others.
        case abandonment
    }

    let kind: Kind
    /// Whose it is.
    let node: Int
    let epoch: Int
    /// Which exchange of the epoch it is for.
    let sequence: Int
    let content: ReceivedBytes

    static let headerByteCount = 19
    /// The most bytes of a frame: far more than a step has.
    static let mostBytes = 1 << 33

    static func header(_ kind: Kind, node: Int, epoch: Int, sequence: Int, byteCount: Int) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(kind.rawValue)
        writer.write(UInt16(truncatingIfNeeded: node))
        writer.write(UInt32(truncatingIfNeeded: epoch))
        writer.write(UInt32(truncatingIfNeeded: sequence))
        writer.write(UInt64(byteCount))
        return writer.bytes
    }

    /// Waits for the next frame; throws for one that is none.
    init(from connection: Connection) throws(LinkError) {
        var reader = ByteReader(try connection.receive(count: Self.headerByteCount))
        guard let kind = Kind(rawValue: try reader.read()) else { throw .malformed }
        self.kind = kind
        node = Int(try reader.read(UInt16.self))
        epoch = Int(try reader.read(UInt32.self))
        sequence = Int(try reader.read(UInt32.self))
        let byteCount = try reader.read(UInt64.self)
        // The system gives memory when it is written to, so an announced length costs nothing by itself.
        guard byteCount <= UInt64(Self.mostBytes), kind == .part || byteCount == 0,
            let content = ReceivedBytes(byteCount: Int(byteCount))
        else { throw .malformed }
        try unsafe connection.receive(into: content.bytes)
        self.content = content
    }

    var header: [UInt8] {
        Self.header(kind, node: node, epoch: epoch, sequence: sequence, byteCount: unsafe content.bytes.count)
    }
}

/// A connection to another node, on which one frame at a time is sent.
final class NodeWire: Sendable {
    let connection: Connection
    private let turn = Mutex<Void>(())

    init(_ connection: Connection) { self.connection = connection }

    /// Sends a frame: a header, and then `parts` one after another.
    func send(_ header: [UInt8], _ parts: [UnsafeRawBufferPointer]) throws(LinkError) {
        try turn.withLock { _ throws(LinkError) in
            try connection.send(header)
            for index in unsafe parts.indices { try unsafe connection.send(parts[index]) }
        }
    }
}

/// What has come from other nodes and is not used yet.
final class NodeInbox: Sendable {
    private let frames: Mutex<[[NodeFrame]]>
    private let gone = Atomic<Bool>(false)

    /// As many as can be under way: one for the exchange, and one of the epoch to come.
    private static let mostFrames = 4

    init(nodeCount: Int) { frames = Mutex(Array(repeating: [], count: nodeCount)) }

    /// Whether a connection has ended.
    var isGone: Bool { gone.load(ordering: .acquiring) }
    func setGone() { gone.store(true, ordering: .releasing) }

    /// Keeps a frame; false when there are too many.
    func put(_ frame: NodeFrame) -> Bool {
        frames.withLock { frames in
            guard frames.indices.contains(frame.node) else { return false }
            // Who is in a later epoch has done with those before, and so have all.
            frames[frame.node].removeAll { $0.epoch < frame.epoch }
            guard frames[frame.node].count < Self.mostFrames else { return false }
            frames[frame.node].append(frame)
            return true
        }
    }

    /// The next frame of `node` in `epoch`; those of earlier ones are dropped.
    ///
    /// Nil when there is none.
    func take(from node: Int, epoch: Int) -> NodeFrame? {
        frames.withLock { frames in
            while let first = frames[node].first, first.epoch <= epoch {
                frames[node].removeFirst()
                if first.epoch == epoch { return first }
            }
            return nil
        }
    }
}

/// The connections of a node's ranks to those of the other nodes.
///
/// Every node is connected with the first, which hands on what the others have for one another.
final class NodeWires: Sendable {
    let node: Int
    let nodeCount: Int
    let abandonment: Abandonment
    private let wires: [NodeWire]
    private let inbox: NodeInbox
    private let readers: [HelperThread]
    /// The epoch and number of the last exchange; those who exchange take turns.
    private let last = Mutex((epoch: 0, sequence: 0))

    /// `connections` are those of the first node to the others in order, or that of another to the first.
    ///
    /// Nil when the system gives no thread.
    init?(node: Int, nodeCount: Int, connections: [Connection]) {
        precondition(connections.count == (node == 0 ? nodeCount - 1 : 1), "a connection for each other node")
        self.node = node
        self.nodeCount = nodeCount
        let wires = connections.map { NodeWire($0) }
        self.wires = wires
        let inbox = NodeInbox(nodeCount: nodeCount)
        self.inbox = inbox
        let abandonment = Abandonment { epoch in
            let header = NodeFrame.header(.abandonment, node: node, epoch: epoch, sequence: 0, byteCount: 0)
            for wire in wires { try? unsafe wire.send(header, []) }
        }
        self.abandonment = abandonment
        readers = wires.indices.compactMap { index in
            let others = node == 0 ? wires.indices.filter { $0 != index }.map { wires[$0] } : []
            return HelperThread {
                Self.read(
                    wires[index], node == 0 ? (index + 1)...(index + 1) : 0...(nodeCount - 1), except: node,
                    for: others, inbox, abandonment)
                // The first that ends leaves nobody waiting.
                inbox.setGone()
                abandonment.set(in: .max)
                for wire in wires { wire.connection.shutDown() }
            }
        }
        if readers.count < wires.count { return nil }
    }

    deinit {
        for wire in wires { wire.connection.shutDown() }
        for reader in readers { reader.join() }
    }

    /// Reads frames of `nodes` until the connection ends or something else comes; `others` hear of them too.
    private static func read(
        _ wire: NodeWire, _ nodes: ClosedRange<Int>, except own: Int, for others: [NodeWire],
        _ inbox: NodeInbox, _ abandonment: Abandonment,
    ) {
        while let frame = try? NodeFrame(from: wire.connection) {
            guard nodes.contains(frame.node), frame.node != own else { return }
            for other in others {
                guard
                    (try? unsafe other.send(frame.header, [UnsafeRawBufferPointer(frame.content.bytes)]))
                        != nil
                else { return }
            }
            switch frame.kind {
            case .abandonment: abandonment.set(in: frame.epoch)
            case .part: guard inbox.put(frame) else { return }
            }
        }
    }

    /// Brings `parts` to the next exchange; for every node what it has brought, this one's place being empty.
    ///
    /// `byteCounts` are what each is to bring. Nil when a rank has left.
    func exchange(_ parts: [UnsafeRawBufferPointer], byteCounts: [Int]) -> [ReceivedBytes?]? {
        let (epoch, sequence) = last.withLock { last in
            let epoch = abandonment.epoch
            last = (epoch, last.epoch == epoch ? last.sequence + 1 : 0)
            return last
        }
        let header = NodeFrame.header(
            .part, node: node, epoch: epoch, sequence: sequence, byteCount: byteCounts[node])
        for wire in wires {
            guard (try? unsafe wire.send(header, parts)) != nil else { return end() }
        }
        var received: [ReceivedBytes?] = []
        for other in 0..<nodeCount {
            guard other != node else {
                received.append(nil)
                continue
            }
            guard let frame = wait(for: other, epoch) else { return nil }
            // Ranks that do not do the same are lost.
            guard frame.sequence == sequence & 0xffff_ffff,
                unsafe frame.content.bytes.count == byteCounts[other]
            else { return end() }
            received.append(frame.content)
        }
        return received
    }

    /// Ends the connections: what is left of the model is of no use.
    private func end() -> [ReceivedBytes?]? {
        abandonment.set(in: .max)
        for wire in wires { wire.connection.shutDown() }
        return nil
    }

    private func wait(for other: Int, _ epoch: Int) -> NodeFrame? {
        var turns = 0
        while !abandonment.isSet {
            if let frame = inbox.take(from: other, epoch: epoch) { return frame }
            turns += 1
            if turns > 20 { sched_yield() }
            if turns > 2_000 { usleep(50) }
        }
        return nil
    }
}
