import CCUDA
import Synchronization
package import Tensors

/// How GPUs exchange what their ranks have computed.
package enum RankTransport: Sendable {
    /// Kernels of ours that write to the others' memory.
    case peers
    /// NCCL.
    case nccl
}

/// Ranks on GPUs of this machine, or several on one, each with a `CUDADevice` of its own.
///
/// Exchanges take their places in the order of each device's work, and may be recorded with it.
package final class CUDACollective: Collective {
    package let rank: Int
    package let rankCount: Int
    private let device: CUDADevice
    private let way: Way
    private let company: Company

    private enum Way {
        case peers(PeerRank)
        case nccl(NCCLRank)
    }

    /// How ranks on `devices` reach each other, at best.
    package static func transport(_ devices: [CUDADevice]) -> RankTransport {
        PeerRank.reachEachOther(devices.map(\.stream)) ? .peers : .nccl
    }

    /// One for each of `devices` that meet with one another, and one for the rank's group of `size` ranks, if a group is
    /// neither one rank nor all; a rank that abandons one abandons both.
    ///
    /// NCCL is looked for in `libraryFolder` first. At most eight ranks.
    package static func ranks(
        _ devices: [CUDADevice], inGroupsOf size: Int, by transport: RankTransport,
        libraryFolder: String? = nil,
    ) throws(DeviceError) -> [(all: CUDACollective, group: CUDACollective)] {
        precondition(size > 0 && devices.count.isMultiple(of: size), "whole groups")
        let company = try Company(devices[0].stream)
        let nccl = transport == .nccl ? try NCCL(folder: libraryFolder) : nil
        let all = try make(devices, company, nccl)
        guard size > 1, size < devices.count else { return all.map { ($0, $0) } }
        var groups: [CUDACollective] = []
        for first in stride(from: 0, to: devices.count, by: size) {
            groups += try make(Array(devices[first..<(first + size)]), company, nccl)
        }
        return Array(zip(all, groups)).map { (all: $0, group: $1) }
    }

    /// Ranks that all meet with one another.
    private static func make(
        _ devices: [CUDADevice], _ company: Company, _ nccl: NCCL?,
    ) throws(DeviceError) -> [CUDACollective] {
        let ways: [Way]
        if let nccl {
            let joined = try nccl.join(devices.map(\.stream), of: devices.count, id: try nccl.makeID())
            company.add(joined)
            ways = joined.map { .nccl($0) }
        } else {
            let peers = try PeerRank.ranks(
                devices, trouble: company.troubleAddress, abandonment: company.abandonment)
            company.add(peers)
            ways = peers.map { .peers($0) }
        }
        return zip(devices, ways).enumerated().map { rank, one in
            CUDACollective(rank, devices.count, one.0, one.1, company)
        }
    }

    private init(_ rank: Int, _ count: Int, _ device: CUDADevice, _ way: Way, _ company: Company) {
        self.rank = rank
        rankCount = count
        self.device = device
        self.way = way
        self.company = company
    }

    package func sum(_ x: Tensor) {
        precondition(x.elementType == .f32, "f32 is added")
        if company.isRehearsing { return }
        switch way {
        case .peers(let peers): peers.sum(x)
        case .nccl(let nccl):
            device.stream.profile.measure(
                "NCCL", KernelWork(bytes: 2 * x.byteCount), on: device.stream
            ) { nccl.sum(x.address, count: x.elementCount, as: .f32) }
        }
    }

    package func shareColumns(_ x: Tensor, parts: [Range<Int>]) {
        let width = x.shape.columnCount
        precondition(
            x.elementType.byteCount == 4 && parts.count == rankCount, "a part of four-byte elements each")
        if company.isRehearsing || x.elementCount == 0 { return }
        switch way {
        case .peers(let peers): peers.share(x, width: width, parts: parts)
        case .nccl(let nccl):
            // What several ranks have, one of them gives; the bits of one and zeros add up to those bits.
            let isGiver = parts.firstIndex(of: parts[rank]) == rank
            device.keepColumns(isGiver ? parts[rank] : 0..<0, of: x, width: width)
            nccl.sum(x.address, count: x.elementCount, as: .u32)
        }
    }

    package func abandon() { company.abandon() }
    package func rejoin() { company.rejoin() }
    package var isAbandoned: Bool { company.isAbandoned }
    package func rehearseAlone(_ isOn: Bool) { company.rehearse(isOn) }
}

/// What all collectives of a model's ranks share: whether somebody has left.
private final class Company: Sendable {
    private let trouble: PinnedMemory
    let abandonment = Abandonment()
    private let members = Mutex<(peers: [PeerRank], nccl: [NCCLRank])>(([], []))
    private let rehearsing = Atomic<Bool>(false)

    init(_ stream: CUDAStream) throws(DeviceError) {
        trouble = try PinnedMemory(stream: stream, byteCount: 64)
    }

    /// Where kernels see that somebody has left, and say that somebody did not come.
    var troubleAddress: UInt { trouble.address }
    var isRehearsing: Bool { rehearsing.load(ordering: .relaxed) }
    func rehearse(_ isOn: Bool) { rehearsing.store(isOn, ordering: .relaxed) }

    func add(_ peers: [PeerRank]) { members.withLock { $0.peers += peers } }
    func add(_ nccl: [NCCLRank]) { members.withLock { $0.nccl += nccl } }

    // Safe: the memory holds more than the word; the GPUs write the same word, and only ones.
    var isAbandoned: Bool { unsafe trouble.bytes.load(as: UInt32.self) != 0 }

    func abandon() {
        unsafe trouble.bytes.storeBytes(of: 1, as: UInt32.self)
        abandonment.leave()
        for rank in members.withLock({ $0.nccl }) { rank.leave() }
    }

    /// Forgets the exchanges so far.
    ///
    /// Those who have left NCCL do not come back.
    func rejoin() {
        let (peers, nccl) = members.withLock { $0 }
        guard nccl.isEmpty else { return }
        for rank in peers { rank.finish() }
        unsafe trouble.bytes.storeBytes(of: 0, as: UInt32.self)
        abandonment.end()
        for rank in peers { rank.forget() }
        for rank in peers { rank.finish() }
    }
}
