import Glibc
import Synchronization

/// Whether a rank has left the others.
///
/// Time is divided by `end` into epochs, so that other nodes can say of which they speak.
package final class Abandonment: Sendable {
    private let current = Atomic<Int>(1)
    /// The last epoch that a rank has left.
    private let left = Atomic<Int>(0)
    private let announce: (@Sendable (Int) -> Void)?

    /// `announce` tells other nodes which epoch a rank of this one has left.
    package init(announce: (@Sendable (Int) -> Void)? = nil) { self.announce = announce }

    package var epoch: Int { current.load(ordering: .acquiring) }
    package var isSet: Bool { left.load(ordering: .acquiring) >= epoch }

    /// A rank of this process leaves.
    package func leave() {
        let epoch = epoch
        set(in: epoch)
        announce?(epoch)
    }
    /// A rank has left in `epoch`.
    package func set(in epoch: Int) { left.max(epoch, ordering: .acquiringAndReleasing) }
    /// The next epoch begins, which nobody has left.
    package func end() { current.add(1, ordering: .acquiringAndReleasing) }
}

/// Where threads wait for one another.
package final class Meeting: Sendable {
    package let rankCount: Int
    private let addresses: Mutex<[UInt]>
    private let waiting = Atomic<Int>(0)
    private let round = Atomic<Int>(0)
    package let abandonment: Abandonment

    /// One of `rankCount` threads; whoever abandons one that shares `abandonment` abandons all.
    package init(rankCount: Int, _ abandonment: Abandonment) {
        self.rankCount = rankCount
        self.abandonment = abandonment
        addresses = Mutex(Array(repeating: 0, count: rankCount))
    }

    package var isAbandoned: Bool { abandonment.isSet }

    package func abandon() { abandonment.leave() }

    /// Forgets who waited; nobody may be here.
    package func reset() { waiting.store(0, ordering: .relaxed) }

    /// Says what rank `rank` brings to the next meeting.
    package func come(_ rank: Int, _ address: UInt) { addresses.withLock { $0[rank] = address } }

    /// What rank `rank` has brought.
    package func address(of rank: Int) -> UInt { addresses.withLock { $0[rank] } }

    /// Waits until all are here; false when one has abandoned the others.
    @discardableResult
    package func wait() -> Bool {
        let now = round.load(ordering: .acquiring)
        if waiting.add(1, ordering: .acquiringAndReleasing).newValue == rankCount {
            waiting.store(0, ordering: .relaxed)
            round.add(1, ordering: .releasing)
            return !isAbandoned
        }
        var turns = 0
        while round.load(ordering: .acquiring) == now, !isAbandoned {
            turns += 1
            // The others are about to come; when they are not, the processor is theirs.
            if turns > 200 { sched_yield() }
            if turns > 20_000 { usleep(50) }
        }
        return !isAbandoned
    }
}
