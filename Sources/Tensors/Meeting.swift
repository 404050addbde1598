import Glibc
import Synchronization

/// Whether a rank has left the others.
package final class Abandonment: Sendable {
    let flag = Atomic<Bool>(false)

    /// Nobody has.
    package init() {}
    /// Somebody leaves.
    package func declare() { flag.store(true, ordering: .releasing) }
}

/// Where threads wait for one another.
package final class Meeting: Sendable {
    package let rankCount: Int
    private let addresses: Mutex<[UInt]>
    private let waiting = Atomic<Int>(0)
    private let round = Atomic<Int>(0)
    private let abandonment: Abandonment

    /// One of `rankCount` threads; whoever abandons one that shares `abandonment` abandons all.
    package init(rankCount: Int, _ abandonment: Abandonment) {
        self.rankCount = rankCount
        self.abandonment = abandonment
        addresses = Mutex(Array(repeating: 0, count: rankCount))
    }

    package var isAbandoned: Bool { abandonment.flag.load(ordering: .acquiring) }

    package func abandon() { abandonment.declare() }

    /// Forgets who waited and that somebody left; nobody may be here.
    package func reset() {
        waiting.store(0, ordering: .relaxed)
        abandonment.flag.store(false, ordering: .releasing)
    }

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
