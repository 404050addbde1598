import Scheduling
import Synchronization
import Tensors

/// The ranks of a model, which run the same steps at the same time, each on a thread of its own.
///
/// The first runs on the caller's thread, the engine's.
final class RankGroup {
    // Safe: the first belongs to the engine's thread, as the group does.
    private let first: Rank
    private let others: [RemoteRank]
    /// The first's way to all others; nil where it is alone.
    private let collective: (any Collective)?
    /// The ranks that are not of this process.
    private let nodes: [RemoteNode]
    /// Steps that were enqueued and not collected.
    private var flightCount = 0
    /// Why the step on the way is void, when a later one could not be enqueued: ranks may have missed exchanges of it.
    private var spoilt: DeviceError?

    /// Starts the threads of the `others`; nil when the system gives none.
    init?(
        first: Rank, others: [(rank: Rank, collective: any Collective)], collective: (any Collective)?,
        nodes: [RemoteNode] = [],
    ) {
        self.first = first
        self.collective = collective
        self.nodes = nodes
        var started: [RemoteRank] = []
        for (rank, collective) in others {
            guard let remote = RemoteRank(rank, collective) else {
                for remote in started { remote.stop() }
                return nil
            }
            started.append(remote)
        }
        self.others = started
    }

    deinit { for other in others { other.stop() } }

    /// Whether a step may be enqueued before the one before is collected.
    var runsAhead: Bool { first.runsAhead }

    /// Whether it takes pictures that are not cut; several ranks take tiles, of which each has its share.
    var cutsPictures: Bool { others.isEmpty && nodes.isEmpty && first.cutsPictures }

    func warmUp() throws(DeviceError) {
        if !others.isEmpty {
            try first.run(.rehearse)
            for other in others {
                other.begin(.rehearse)
                if let error = other.end() { throw error }
            }
        }
        try each(.warmUp)
    }

    func encode(_ pictures: [PictureTiles]) throws(DeviceError) {
        if !pictures.isEmpty { try each(.encode(pictures), stepsBefore: flightCount) }
    }

    func enqueue(_ sequences: [SequenceStep]) throws(DeviceError) {
        flightCount += 1
        try each(.enqueue(sequences), stepsBefore: flightCount - 1)
    }

    /// Stores embeddings that came from elsewhere in the pages of a picture, on every rank.
    func load(_ rows: ArraySlice<UInt8>, pages: [PageIndex]) throws(DeviceError) {
        try each(.load(rows, pages: pages))
    }

    /// The first `rowCount` rows in the pages of a picture, as bytes: every rank has the same.
    func storedRows(_ rowCount: Int, pages: [PageIndex]) throws(DeviceError) -> [UInt8] {
        try first.storedRows(rowCount, pages: pages)
    }

    /// What the first rank has; the others' results are its.
    func collect() throws(DeviceError) -> StepResult {
        flightCount -= 1
        let error = spoilt
        spoilt = nil
        try each(.collect)
        if let error { throw error }
        return first.collected
    }

    /// Counts the oldest step on the way as collected: it could not be enqueued.
    func skip() {
        flightCount -= 1
        try? each(.skip)
    }

    /// Lets every rank do `work`, while `stepsBefore` steps are on their way; the first failure counts.
    private func each(_ work: RankWork, stepsBefore: Int = 0) throws(DeviceError) {
        do throws(DeviceError) { try run(work) } catch {
            // The ranks wait for work again; but for a device that is broken they can go on.
            if case .failed = error {
            } else {
                collective?.rejoin()
                for node in nodes { node.rejoin() }
            }
            // Who has left NCCL does not come back: then this is the reason to end.
            if let collective, collective.isAbandoned { throw .failed("\(error)") }
            if collective != nil, stepsBefore > 0 { spoilt = error }
            throw error
        }
    }

    /// Lets every rank do `work`; after a failure they have to rejoin.
    func run(_ work: RankWork) throws(DeviceError) {
        for node in nodes { node.begin(work) }
        for other in others { other.begin(work) }
        var failures: [DeviceError] = []
        do throws(DeviceError) { try first.run(work) } catch {
            collective?.abandon()
            failures.append(error)
        }
        for other in others { if let error = other.end() { failures.append(error) } }
        for node in nodes { if let error = node.end() { failures.append(error) } }
        // A rank that failed by itself says more than those that it has abandoned.
        guard let failure = failures.first(where: { $0 != RankGroup.abandoned }) ?? failures.first else {
            return
        }
        throw failure
    }

    /// Lets the other nodes end in order.
    func stop() { for node in nodes { node.stop() } }

    /// Lets `body` know when another node is gone.
    func whenNodeIsGone(_ body: @escaping @Sendable (DeviceError) -> Void) {
        for node in nodes { node.whenGone(body) }
    }

    static let abandoned = DeviceError.failed("another rank has failed")
}

/// What all ranks do at a time.
enum RankWork: Sendable {
    case rehearse
    case warmUp
    case encode([PictureTiles])
    case load(ArraySlice<UInt8>, pages: [PageIndex])
    case enqueue([SequenceStep])
    case collect
    case skip
}

extension Rank {
    func run(_ work: RankWork) throws(DeviceError) {
        switch work {
        case .rehearse: try rehearse()
        case .warmUp: try warmUp()
        case .encode(let pictures): try encode(pictures)
        case .load(let rows, let pages): load(rows, pages: pages)
        case .enqueue(let sequences): try enqueue(sequences)
        case .collect: try keepCollected()
        case .skip: skip()
        }
    }
}

/// A rank on a thread of its own.
private final class RemoteRank: @unchecked Sendable {
    // Safe: the rank belongs to the thread; all else is synchronised.
    private let rank: Rank
    private let collective: any Collective
    private let work = Mailbox<RankWork?>()
    private let ends = Mailbox<DeviceError?>()

    init?(_ rank: Rank, _ collective: any Collective) {
        self.rank = rank
        self.collective = collective
        guard DedicatedThread.start({ self.serve() }) else { return nil }
    }

    private func serve() {
        while let next = work.takeOne() {
            do throws(DeviceError) {
                try rank.run(next)
                ends.post(nil)
            } catch {
                collective.abandon()
                ends.post(error)
            }
        }
    }

    func begin(_ next: RankWork) { work.post(next) }
    /// Waits for what was begun; its failure, if it failed.
    func end() -> DeviceError? { ends.takeOne() }
    func stop() { work.post(nil) }
}
