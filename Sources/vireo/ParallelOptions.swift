import ArgumentParser

/// How a model is divided: shared by all sub-commands that run one.
struct ParallelOptions: ParsableArguments {
    @Option(
        name: .flag("tp"),
        help:
            "Ranks the text tower is divided over. On the processor they share its cores; on GPUs each has one (--gpu_ids)."
    )
    var ranks = 1

    @Option(
        name: .flag("visual_dp"),
        help: "Vision towers, which share out the pictures; by default what --visual_tp leaves of --tp.")
    var dataParallel: Int?

    @Option(
        name: .flag("visual_tp"),
        help: "Ranks that a vision tower is divided over; visual_dp · visual_tp is tp.")
    var tensorParallel: Int?

    @Option(name: .flag("nnodes"), help: "Machines the model is divided over: 1 in this version.")
    var nodes = 1

    @Option(name: .flag("node_rank"), help: "Which of the machines this is: 0 in this version.")
    var nodeRank = 0

    /// Vision towers; each is divided over as many ranks.
    var towers: Int { dataParallel ?? ranks / (tensorParallel ?? 1) }
    /// Ranks of a vision tower.
    var ranksPerTower: Int { tensorParallel ?? ranks / (dataParallel ?? ranks) }

    func validate() throws {
        try Bounds.check("--tp", ranks, 1...64)
        try Bounds.check("--visual_dp", dataParallel, 1...64)
        try Bounds.check("--visual_tp", tensorParallel, 1...64)
        guard towers * ranksPerTower == ranks else {
            let pairs = (1...ranks).filter { ranks.isMultiple(of: $0) }.map { "\($0) · \(ranks / $0)" }
            let given = [
                dataParallel.map { "--visual_dp \($0)" }, tensorParallel.map { "--visual_tp \($0)" },
            ]
            throw ValidationError(
                "\(given.compactMap(\.self).joined(separator: " and ")) do not go with --tp \(ranks): visual_dp · "
                    + "visual_tp must be tp, so \(pairs.joined(separator: ", "))")
        }
        guard nodes == 1 else {
            throw ValidationError(
                "--nnodes \(nodes) is not supported yet: this version runs on one machine; use --nnodes 1")
        }
        guard nodeRank == 0 else {
            throw ValidationError(
                "--node_rank \(nodeRank) is not supported yet: this version runs on one machine")
        }
    }
}
