import Glibc
import Nodes

/// Why nodes do not come together, or part, in a sentence that says what to do.
package struct NodeError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    /// Takes the sentence.
    package init(_ description: String) { self.description = description }
}

/// Brings the nodes of a model together.
package struct NodeMeeting {
    private let terms: NodeTerms
    private let host: String
    private let port: Int
    private let clock = ContinuousClock()
    private let deadline: ContinuousClock.Instant
    private let seconds: Double

    /// At `host` and `port`, where node 0 listens; within `seconds`.
    package init(terms: NodeTerms, host: String, port: Int, seconds: Double = 300) {
        self.terms = terms
        self.host = host
        self.port = port
        self.seconds = seconds
        deadline = clock.now + .seconds(seconds)
    }

    private var address: String { "\(host):\(port)" }

    // MARK: Node 0

    /// Who has connected and not said yet what for.
    private struct Stranger {
        let connection: Connection
        var bytes: [UInt8] = []
        let deadline: ContinuousClock.Instant
    }

    /// A node that has one connection yet.
    private struct Half {
        let control: Connection
        let token: UInt64
        let deadline: ContinuousClock.Instant
    }

    /// The most who may be strangers at a time, and for how long.
    private static let mostStrangers = 64
    private static let strangerSeconds = 5.0

    /// Waits for all other nodes, in order.
    ///
    /// `say` hears of those that are refused.
    package func gather(_ say: (String) -> Void = { _ in }) throws(NodeError) -> [NodeLink] {
        let listener: Listener
        do throws(LinkError) { listener = try Listener(host: host, port: port) } catch {
            throw NodeError(
                "node 0 cannot listen on \(address): \(error); --nccl_host and --nccl_port must be a free port of an "
                    + "address of this machine")
        }
        return try gather(listener, say)
    }

    func gather(_ listener: Listener, _ say: (String) -> Void) throws(NodeError) -> [NodeLink] {
        var strangers: [Stranger] = []
        var halves: [Int: Half] = [:]
        var links: [Int: NodeLink] = [:]
        while links.count < terms.nodeCount - 1 {
            guard clock.now < deadline else {
                for link in links.values { link.close() }
                let missing = (1..<terms.nodeCount).filter { links[$0] == nil }.map(String.init)
                throw NodeError(
                    "waited \(Int(seconds)) s for node \(missing.joined(separator: ", ")): start every node with "
                        + "--nccl_host \(host) --nccl_port \(port) and its own --node_rank")
            }
            while let connection = listener.accept() {
                if strangers.count < Self.mostStrangers {
                    strangers.append(
                        Stranger(connection: connection, deadline: clock.now + .seconds(Self.strangerSeconds))
                    )
                }
            }
            var left: [Stranger] = []
            for var stranger in strangers {
                let isThere = stranger.connection.receiveReady(
                    into: &stranger.bytes, upTo: NodeHello.byteCount)
                if stranger.bytes.count == NodeHello.byteCount {
                    if let hello = try? NodeHello(stranger.bytes) {
                        greet(hello, stranger.connection, &halves, &links, say)
                    }
                } else if isThere, clock.now < stranger.deadline {
                    left.append(stranger)
                }
            }
            strangers = left
            for (node, half) in halves where clock.now > half.deadline { halves[node] = nil }
            for (node, link) in links where link.isGone {
                say("node \(node) has gone again; waiting for it")
                links[node] = nil
            }
            usleep(10_000)
        }
        return (1..<terms.nodeCount).compactMap { links[$0] }
    }

    private func greet(
        _ hello: NodeHello, _ connection: Connection, _ halves: inout [Int: Half],
        _ links: inout [Int: NodeLink], _ say: (String) -> Void,
    ) {
        func refuse(_ sentence: String) {
            say(sentence)
            try? connection.send(NodeAnswer.refusal(sentence).bytes)
        }
        let node = hello.node
        switch hello.purpose {
        case .control:
            if let obstacle = terms.obstacle(to: hello.terms, node: node) { return refuse(obstacle) }
            if links[node] != nil {
                return refuse("node \(node) is there already: give every node its own --node_rank")
            }
            let token = UInt64.random(in: 1 ... .max)
            guard (try? connection.send(NodeAnswer.welcome(token: token).bytes)) != nil else { return }
            halves[node] = Half(
                control: connection, token: token, deadline: clock.now + .seconds(Self.strangerSeconds))
        case .exchange:
            // A stranger does not know the token.
            guard let half = halves[node], half.token == hello.token else { return }
            halves[node] = nil
            guard (try? connection.send(NodeAnswer.welcome(token: half.token).bytes)) != nil else { return }
            links[node] = NodeLink(node: node, control: half.control, exchange: connection)
        }
    }

    // MARK: The others

    /// Comes to node 0 as `node`, as soon as that listens.
    package func join(as node: Int) throws(NodeError) -> NodeLink {
        var last = LinkError.closed
        while clock.now < deadline {
            do throws(LinkError) {
                return try enter(as: node)
            } catch .refused(let sentence) {
                throw NodeError(sentence)
            } catch .malformed {
                throw NodeError(
                    "what listens on \(address) is no node of this version of vireo; check --nccl_host and "
                        + "--nccl_port")
            } catch {
                last = error
            }
            usleep(200_000)
        }
        throw NodeError(
            "waited \(Int(seconds)) s for node 0 on \(address) (\(last)); start it with --node_rank 0 and the same "
                + "--nccl_host and --nccl_port")
    }

    private func enter(as node: Int) throws(LinkError) -> NodeLink {
        let control = try Connection.open(host: host, port: port, seconds: 5)
        let token = try present(NodeHello(purpose: .control, node: node, terms: terms), on: control)
        let exchange = try Connection.open(host: host, port: port, seconds: 5)
        _ = try present(
            NodeHello(purpose: .exchange, node: node, terms: terms, token: token), on: exchange)
        guard let link = NodeLink(node: 0, control: control, exchange: exchange) else {
            throw .system("the system gives no thread")
        }
        return link
    }

    private func present(_ hello: NodeHello, on connection: Connection) throws(LinkError) -> UInt64 {
        connection.setPatience(milliseconds: 5_000)
        try connection.send(hello.bytes)
        switch try NodeAnswer(from: connection) {
        case .welcome(let token): return token
        case .refusal(let sentence): throw .refused(sentence)
        }
    }
}
