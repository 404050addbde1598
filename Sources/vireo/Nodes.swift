import CPUBackend
import Checkpoints
import Engine
import Images
import Nodes
import Tensors

extension ModelOptions {
    /// Meets the other machines: node 0 waits for them, the others come to it.
    func meetNodes(on device: any Device, _ source: any TensorSource) throws -> [NodeLink] {
        guard !device.isAsynchronous else {
            throw StartError(
                "--nnodes \(parallel.nodes) is for processors in this version; use --device cpu, or one machine with "
                    + "--nnodes 1")
        }
        let terms = NodeTerms(
            nodeCount: parallel.nodes, rankCount: parallel.ranks, towerCount: parallel.towers,
            elementType: elementType, model: try digest(of: source), program: Build.version)
        let meeting = NodeMeeting(terms: terms, host: parallel.nodeHost, port: parallel.nodePort)
        let place = "\(parallel.nodeHost):\(parallel.nodePort)"
        do throws(NodeError) {
            if parallel.nodeRank > 0 {
                Console.error("node \(parallel.nodeRank) looks for node 0 on \(place)")
                return [try meeting.join(as: parallel.nodeRank)]
            }
            Console.error("node 0 waits for \(parallel.nodes - 1) more on \(place)")
            return try meeting.gather { Console.error($0) }
        } catch {
            throw StartError("\(error)")
        }
    }

    /// The ways of this machine's ranks to all others and to their groups; none for a rank that is alone.
    func collectives(
        _ devices: [any Device], _ links: [NodeLink],
    ) throws -> [(all: any Collective, group: any Collective)] {
        let size = parallel.ranksPerTower
        guard !links.isEmpty else {
            return devices.count > 1 ? try device.collectives(devices, inGroupsOf: size) : []
        }
        let ranks = NodeCollective.ranks(
            parallel.ranks, inGroupsOf: size, node: parallel.nodeRank, of: parallel.nodes,
            connections: links.map(\.exchange))
        guard let ranks else { throw StartError("the system gives no thread; raise the limit on processes") }
        return ranks
    }

    /// A digest that tells the checkpoint, and what its weights become, from others.
    private func digest(of source: any TensorSource) throws -> [UInt8] {
        let configuration = try Files.read("\(modelFolder)/config.json", atMost: 16 << 20) ?? []
        let format = Array(textFormat.name.utf8)
        return SHA256.digest(
            of: format + configuration + ((source as? Checkpoint)?.mark ?? Array(loadFormat.utf8)))
    }
}
