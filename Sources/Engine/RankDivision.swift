package import Models
package import Tensors

/// How a rank shares the work with the others.
struct RankDivision: Sendable {
    /// All ranks.
    let collective: any Collective
    /// How many vision towers there are, each over as many ranks.
    let towerCount: Int

    /// Whether this rank has the head of the model and chooses tokens.
    var isFirst: Bool { collective.rank == 0 }
    /// The tower this rank belongs to.
    var towerIndex: Int { towerIndices[collective.rank] }
    /// For each rank its tower.
    var towerIndices: [Int] {
        (0..<collective.rankCount).map { $0 * towerCount / collective.rankCount }
    }

    /// Which of the things of such `costs` each tower takes: consecutive ones, at about the same cost.
    func shares(of costs: [Int]) -> [Range<Int>] {
        let total = costs.reduce(0, +)
        var shares: [Range<Int>] = []
        var next = 0, spent = 0
        for tower in 1...towerCount {
            let first = next
            // As near to its end of the whole as can be.
            let end = total * tower / towerCount
            while next < costs.count, tower == towerCount || spent + costs[next] / 2 < end {
                spent += costs[next]
                next += 1
            }
            shares.append(first..<next)
        }
        return shares
    }
}

/// One rank of a model: its device, its part of the weights, and its way to the others.
package struct ModelRank: Sendable {
    package let model: any VisionLanguageModel
    package let device: any Device
    /// Nil where it is the only one.
    package let collective: (any Collective)?

    /// Takes all three.
    package init(
        model: any VisionLanguageModel, device: any Device, collective: (any Collective)? = nil,
    ) {
        self.model = model
        self.device = device
        self.collective = collective
    }
}
