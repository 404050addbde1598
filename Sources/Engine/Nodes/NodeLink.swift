import Glibc
package import Nodes
import Synchronization

/// The connections of a node to another, with the knowledge whether that lives: each side says every half second that it
/// does, and whoever is not heard for two seconds is gone.
package final class NodeLink: Sendable {
    /// The number of the other side.
    package let node: Int
    /// The connection for what ranks exchange; ends with the other.
    package let exchange: Connection

    private let control: Connection
    private let turn = Mutex<Void>(())
    /// What was received; nil when the other side is gone.
    private let messages = Mailbox<NodeMessage?>()
    private let state = Mutex(State())

    private struct State {
        var isGone = false
        var listeners: [@Sendable () -> Void] = []
    }

    private static let beatMilliseconds = 500
    private static let patienceMilliseconds = 2000
    /// The most bytes of a message: pictures on their way to the towers.
    private static let mostBytes = 1 << 31

    /// Starts to listen and to beat; nil when the system gives no thread.
    init?(node: Int, control: Connection, exchange: Connection) {
        self.node = node
        self.control = control
        self.exchange = exchange
        control.setPatience(milliseconds: Self.patienceMilliseconds)
        exchange.setPatience(milliseconds: 0)
        guard DedicatedThread.start({ self.listen() }), DedicatedThread.start({ self.beat() }) else {
            close()
            return nil
        }
    }

    /// Whether the other side is gone.
    package var isGone: Bool { state.withLock(\.isGone) }

    /// Lets `body` know, once, when the other side is gone; at once when it is already.
    func whenGone(_ body: @escaping @Sendable () -> Void) {
        let isGone = state.withLock { state in
            if !state.isGone { state.listeners.append(body) }
            return state.isGone
        }
        if isGone { body() }
    }

    /// Ends both connections.
    func close() {
        control.shutDown()
        exchange.shutDown()
    }

    /// Sends a message; the other side being gone shows in `next`.
    func send(_ message: NodeMessage) { try? sendFrame(message.kind.rawValue, message.content) }

    /// Waits for the next message; nil when the other side is gone and all it sent before has been taken.
    func next() -> NodeMessage? {
        let message = messages.takeOne()
        if message == nil { messages.post(nil) }
        return message
    }

    private func sendFrame(_ kind: UInt8, _ content: [UInt8]) throws(LinkError) {
        var header = ByteWriter()
        header.write(UInt32(truncatingIfNeeded: content.count))
        header.write(kind)
        try turn.withLock { _ throws(LinkError) in
            try control.send(header.bytes)
            try control.send(content)
        }
    }

    private func listen() {
        while let message = try? receive() {
            if message.kind != .beat { messages.post(message) }
        }
        close()
        let listeners = state.withLock { state in
            state.isGone = true
            defer { state.listeners = [] }
            return state.listeners
        }
        messages.post(nil)
        for listener in listeners { listener() }
    }

    private func receive() throws(LinkError) -> NodeMessage {
        var header = ByteReader(try control.receive(count: 5))
        let count = Int(try header.read(UInt32.self))
        guard count <= Self.mostBytes, let kind = NodeMessage.Kind(rawValue: try header.read()) else {
            throw .malformed
        }
        return NodeMessage(kind: kind, content: try control.receive(count: count))
    }

    private func beat() {
        while !isGone {
            send(NodeMessage(kind: .beat))
            usleep(UInt32(Self.beatMilliseconds * 1000))
        }
    }
}

/// What one node says to another.
struct NodeMessage: Sendable, Hashable {
    enum Kind: UInt8 {
        /// I am here.
        case beat
        /// Node 0: make your stores so large.
        case setUp
        /// Node 0: do this.
        case work
        /// Node 0: all go on behind a failure.
        case rejoin
        /// Node 0: the model is not needed any more.
        case stop
        /// The others: it is done, or why not.
        case ended
    }

    let kind: Kind
    var content: [UInt8] = []
}
