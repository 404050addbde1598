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
        name: .flag("dp"),
        help:
            "Replicas of the whole model in this process, by vireo serve; each has --tp ranks and caches of its own. A request goes to the one that knows most of it, or has least to do."
    )
    var replicas = 1

    @Option(
        name: .flag("visual_dp"),
        help: "Vision towers, which share out the pictures; by default what --visual_tp leaves of --tp.")
    var dataParallel: Int?

    @Option(
        name: .flag("visual_tp"),
        help: "Ranks that a vision tower is divided over; visual_dp · visual_tp is tp.")
    var tensorParallel: Int?

    @Option(
        name: .flag("nnodes"),
        help:
            "Machines the model is divided over, by vireo serve on processors; --tp counts the ranks of all. Start each with the same line but for --node_rank."
    )
    var nodes = 1

    @Option(
        name: .flag("node_rank"),
        help: "Which of the machines this is; the first, 0, serves HTTP, the others do what it says.")
    var nodeRank = 0

    @Option(
        name: .flag("nccl_host"),
        help:
            "The address of node 0, where it listens for the others. Whoever reaches it may read what is computed: a private network."
    )
    var nodeHost = "127.0.0.1"

    @Option(name: .flag("nccl_port"), help: "The port that node 0 listens on for the others.")
    var nodePort = 28765

    /// Ranks of this machine.
    var ranksHere: Int { ranks / nodes }
    /// Vision towers; each is divided over as many ranks.
    var towers: Int { dataParallel ?? ranks / (tensorParallel ?? 1) }
    /// Ranks of a vision tower.
    var ranksPerTower: Int { tensorParallel ?? ranks / (dataParallel ?? ranks) }

    func validate() throws {
        try Bounds.check("--tp", ranks, 1...64)
        try Bounds.check("--dp", replicas, 1...64)
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
        try checkNodes()
    }

    private func checkNodes() throws {
        try Bounds.check("--nnodes", nodes, 1...64)
        guard nodes == 1 || replicas == 1 else {
            throw ValidationError(
                "--dp \(replicas) replicas are not supported with --nnodes \(nodes); start as many servers, or use one "
                    + "machine")
        }
        try Bounds.check("--node_rank", nodeRank, 0...(nodes - 1))
        try Bounds.check("--nccl_port", nodePort, 1...65535)
        guard !nodeHost.isEmpty else { throw ValidationError("--nccl_host must not be empty") }
        guard ranks.isMultiple(of: nodes) else {
            throw ValidationError(
                "--tp \(ranks) is not a multiple of --nnodes \(nodes): every machine has as many ranks")
        }
        guard ranksPerTower == ranks || ranksHere.isMultiple(of: ranksPerTower) else {
            let sizes = (1...ranks).filter { $0 == ranks || ranksHere.isMultiple(of: $0) }
            throw ValidationError(
                "a vision tower of --visual_tp \(ranksPerTower) ranks would lie on more than one machine of "
                    + "\(ranksHere), but not on all: visual_dp · visual_tp may be "
                    + sizes.map { "\(ranks / $0) · \($0)" }.joined(separator: ", "))
        }
    }

    /// Throws where one replica on one machine is all that can be used, by `command`.
    func checkOneNode(for command: String) throws {
        guard nodes == 1 else {
            throw StartError(
                "--nnodes \(nodes) is for vireo serve alone, not for vireo \(command); use --nnodes 1")
        }
        guard replicas == 1 else {
            throw StartError(
                "--dp \(replicas) is for vireo serve alone, not for vireo \(command); use --dp 1")
        }
    }
}
