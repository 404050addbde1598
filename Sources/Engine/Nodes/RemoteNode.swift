import Nodes
import Tensors

/// The ranks of another node, as node 0 has them at work.
final class RemoteNode: Sendable {
    private let link: NodeLink

    init(_ link: NodeLink) { self.link = link }

    deinit { link.close() }

    /// Lets the ranks make their stores; `end` tells what came of it.
    func begin(_ setup: NodeSetup) { link.send(NodeMessage(kind: .setUp, content: setup.bytes)) }
    /// Lets the ranks do `work`.
    func begin(_ work: RankWork) { link.send(NodeMessage(kind: .work, content: work.bytes)) }

    /// Waits for what was begun; its failure, if it failed.
    func end() -> DeviceError? {
        guard let message = link.next() else { return Self.gone(link.node) }
        do throws(LinkError) {
            guard message.kind == .ended else { throw .malformed }
            return try DeviceError.read(message.content)
        } catch {
            link.close()
            return .failed("node \(link.node) says what is not understood")
        }
    }

    /// Lets the ranks go on behind a failure.
    func rejoin() { link.send(NodeMessage(kind: .rejoin)) }
    /// Lets the node end in order.
    func stop() { link.send(NodeMessage(kind: .stop)) }
    /// Lets `body` know when the node is gone.
    func whenGone(_ body: @escaping @Sendable (DeviceError) -> Void) {
        link.whenGone { [node = link.node] in body(Self.gone(node)) }
    }

    private static func gone(_ node: Int) -> DeviceError { .failed("node \(node) is gone") }
}
