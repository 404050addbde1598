import Images
import Models
import Nodes
import Scheduling
package import Tensors

/// The ranks of a node that does what node 0 says.
package struct NodeFollower {
    private let link: NodeLink
    private let ranks: [ModelRank]
    private let towerCount: Int
    private let elementType: ElementType

    /// `ranks` are the node's parts of the model, the first of them first; the model has `towerCount` vision towers
    /// on all nodes together.
    ///
    /// The cache is of `elementType`.
    package init(_ link: NodeLink, ranks: [ModelRank], towerCount: Int, elementType: ElementType) {
        precondition(ranks.allSatisfy { $0.collective != nil }, "ranks have ways to the others")
        self.link = link
        self.ranks = ranks
        self.towerCount = towerCount
        self.elementType = elementType
    }

    /// Works on this thread until node 0 ends in order; throws when it does not.
    ///
    /// `onReady` is called when the stores are there.
    package func run(onReady: () -> Void = {}) throws(NodeError) {
        defer { link.close() }
        var work: (group: RankGroup, bounds: WorkBounds)?
        while let message = link.next() {
            do throws(LinkError) {
                switch message.kind {
                case .setUp where work == nil:
                    let setup = try NodeSetup(message.content)
                    guard isForModel(setup) else { throw .malformed }
                    do throws(DeviceError) {
                        work = (
                            try makeGroup(setup),
                            WorkBounds(limits: setup.limits, model: ranks[0].model.description)
                        )
                        end(nil)
                        onReady()
                    } catch { end(error) }
                case .work:
                    let next = try RankWork(message.content)
                    guard let work, work.bounds.allow(next) else { throw .malformed }
                    do throws(DeviceError) {
                        try work.group.run(next)
                        end(nil)
                    } catch { end(error) }
                case .rejoin: ranks[0].collective?.rejoin()
                case .stop: return
                case .setUp, .beat, .ended: throw .malformed
                }
            } catch {
                throw NodeError(
                    "node 0 says what this node does not understand; run the same version on all nodes")
            }
        }
        throw NodeError("node 0 is gone")
    }

    private func end(_ error: DeviceError?) {
        link.send(NodeMessage(kind: .ended, content: DeviceError.bytes(of: error)))
    }

    /// Whether the stores are such as the model's.
    private func isForModel(_ setup: NodeSetup) -> Bool {
        let model = ranks[0].model.description
        guard setup.limits.modelLength <= model.text.maxPositions else { return false }
        guard let vision = model.vision else { return setup.limits.imagePageCount == 0 }
        return setup.limits.rowsPerImagePage == vision.cut.tokensPerPage
            && setup.limits.encodesWholePictures == vision.cut.isWhole
    }

    private func makeGroup(_ setup: NodeSetup) throws(DeviceError) -> RankGroup {
        var made: [Rank] = []
        for rank in ranks {
            made.append(
                try Rank(
                    model: rank.model, device: rank.device, limits: setup.limits, elementType: elementType,
                    vocabularyCount: setup.vocabularyCount, endIDs: setup.endIDs,
                    division: rank.collective.map { RankDivision(collective: $0, towerCount: towerCount) }))
        }
        let others = zip(made, ranks).dropFirst().compactMap { rank, place in
            place.collective.map { (rank: rank, collective: $0) }
        }
        guard let group = RankGroup(first: made[0], others: others, collective: ranks[0].collective) else {
            throw .failed("the system gives no thread")
        }
        return group
    }
}
