import CKernels
import Glibc
import Synchronization
package import Tensors

/// Ranks that are threads of this process, each with a `CPUDevice` of its own.
///
/// A rank adds up its share of the elements and writes the sums to all, so each element is added once, in the order of the
/// ranks.
package final class ThreadCollective: Collective {
    package let rank: Int
    private let meeting: Meeting
    /// All meetings of the ranks, this one among them.
    private let meetings: [Meeting]

    /// One for each of `count` ranks that meet with one another, and one for the rank's group of `size` ranks; a rank that
    /// abandons one abandons both.
    package static func ranks(
        _ count: Int, inGroupsOf size: Int,
    ) -> [(all: ThreadCollective, group: ThreadCollective)] {
        precondition(count > 0 && size > 0 && count.isMultiple(of: size), "whole groups")
        let abandonment = Abandonment(), all = Meeting(rankCount: count, abandonment)
        let groups = (0..<(count / size)).map { _ in Meeting(rankCount: size, abandonment) }
        let meetings = [all] + groups
        return (0..<count).map { rank in
            (
                ThreadCollective(rank: rank, all, meetings),
                ThreadCollective(rank: rank % size, groups[rank / size], meetings)
            )
        }
    }

    init(rank: Int, _ meeting: Meeting, _ meetings: [Meeting]) {
        self.rank = rank
        self.meeting = meeting
        self.meetings = meetings
    }

    package var rankCount: Int { meeting.rankCount }
    package var isAbandoned: Bool { meeting.isAbandoned }
    package func abandon() { meeting.abandon() }
    package func rejoin() {
        for meeting in meetings { meeting.reset() }
        meeting.abandonment.end()
    }

    package func sum(_ x: Tensor) {
        precondition(x.elementType == .f32, "f32 is added")
        meeting.come(rank, x.address)
        // The others' tensors are whole, and stay, only while all keep meeting.
        if meeting.wait() {
            let (first, last) = (rank * x.elementCount / rankCount, (rank + 1) * x.elementCount / rankCount)
            let parts: [UnsafeMutablePointer<Float>?] = unsafe (0..<rankCount).map {
                unsafe Self.floats(meeting.address(of: $0))
            }
            // Safe: every rank's tensor has as many elements, and nobody else touches those of this rank's share.
            unsafe parts.withUnsafeBufferPointer {
                unsafe vireo_sum_everywhere($0.baseAddress, rankCount, first, last)
            }
        }
        meeting.wait()
    }

    package func shareColumns(_ x: Tensor, parts: [Range<Int>]) {
        let columns = x.shape.columnCount
        precondition(
            x.elementType.byteCount == 4 && parts.count == rankCount, "four bytes, and a part for each rank")
        precondition(
            parts.allSatisfy { $0.lowerBound >= 0 && $0.upperBound <= columns }, "parts of the columns")
        meeting.come(rank, x.address)
        if meeting.wait() {
            let own = parts[rank]
            for (other, part) in parts.enumerated() where part != own && parts.firstIndex(of: part) == other {
                for row in 0..<x.shape.rowCount {
                    let start = row * columns + part.lowerBound
                    // Safe: both tensors have these columns; the other rank does not write its own meanwhile.
                    unsafe Self.floats(x.address).advanced(by: start).update(
                        from: Self.floats(meeting.address(of: other)).advanced(by: start), count: part.count)
                }
            }
        }
        meeting.wait()
    }

    // Safe: an address of a tensor in host memory, which is never null.
    @unsafe private static func floats(_ address: UInt) -> UnsafeMutablePointer<Float> {
        guard let pointer = unsafe UnsafeMutablePointer<Float>(bitPattern: address) else {
            preconditionFailure("a tensor lies somewhere")
        }
        return unsafe pointer
    }
}
