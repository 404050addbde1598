import CCUDA
import Synchronization
import Tensors

/// A rank that exchanges with others by writing to their memory: kernels of ranks.cu.
final class PeerRank: Sendable {
    private let rank: Int
    private let rankCount: Int
    private let stream: CUDAStream
    private let kernels: RankKernels
    /// What the others write to.
    private let area: Storage
    /// Where all areas are, as the kernels have it.
    private let addresses: Storage
    /// Where ranks that share a GPU wait until all have enqueued what comes before an exchange; nil where each has its own.
    ///
    /// A GPU loads a kernel when it is first used, and takes and gives memory, only when it is idle, which it never is while
    /// one rank waits there for another that is held up by that.
    private let meeting: Meeting?

    // As in ranks.cu.
    private static let mostRanks = 8
    private static let headByteCount = 64 + 4 * mostRanks * 256
    /// Bytes that are exchanged at a time.
    private static let halfByteCount = 32 << 20
    /// Sums of more go by parts where there are more than two ranks: each adds up one and shares it.
    private static let wholeByteCount = 256 << 10
    private static let patience: UInt64 = 30_000_000_000
    private static let threads = 256

    /// Whether each of several GPUs reaches the memory of the others.
    static func reachEachOther(_ streams: [CUDAStream]) -> Bool {
        streams.allSatisfy { one in
            streams.allSatisfy { other in
                one.properties.device == other.properties.device || one.reaches(other)
            }
        }
    }

    /// A rank on each of `devices`; at `trouble` is the word that ends all waiting.
    static func ranks(
        _ devices: [CUDADevice], trouble: UInt, abandonment: Abandonment,
    ) throws(DeviceError) -> [PeerRank] {
        guard devices.count <= mostRanks else {
            throw .failed("\(devices.count) ranks are not supported on GPUs, but up to \(mostRanks)")
        }
        for one in devices {
            for other in devices where one.stream.properties.device != other.stream.properties.device {
                try one.stream.openMemory(of: other.stream)
            }
        }
        var areas: [Storage] = []
        for device in devices {
            areas.append(try device.allocate(byteCount: headByteCount + 2 * halfByteCount))
        }
        let isAlone = Set(devices.map(\.stream.properties.device)).count == devices.count
        let place = isAlone ? nil : Meeting(rankCount: devices.count, abandonment)
        if !isAlone { for device in devices { device.sharesGPU.store(true, ordering: .relaxed) } }
        var ranks: [PeerRank] = []
        for (rank, device) in devices.enumerated() {
            var words = areas.map { UInt64($0.address) }
            words += [UInt64](repeating: 0, count: mostRanks - areas.count)
            words += [
                UInt64(trouble), UInt64(rank) | UInt64(devices.count) << 32, UInt64(halfByteCount), patience,
            ]
            let addresses = try device.makeTensor([2 * words.count], .i32)
            device.write(words, to: addresses)
            ranks.append(
                try PeerRank(
                    rank: rank, rankCount: devices.count, device: device, area: areas[rank],
                    addresses: addresses.storage, meeting: place))
        }
        for device in devices { try device.wait() }
        return ranks
    }

    private init(
        rank: Int, rankCount: Int, device: CUDADevice, area: Storage, addresses: Storage, meeting: Meeting?,
    ) throws(DeviceError) {
        self.rank = rank
        self.rankCount = rankCount
        stream = device.stream
        kernels = try RankKernels(device.compiler)
        self.area = area
        self.addresses = addresses
        self.meeting = meeting
    }

    /// x = Σ over ranks x, f32.
    func sum(_ x: Tensor) {
        precondition(x.elementCount.isMultiple(of: 4), "whole groups of four")
        let byParts = rankCount > 2 && x.byteCount > Self.wholeByteCount
        // Groups of four in a window.
        let most = Self.halfByteCount / 16 / (byParts ? 1 : rankCount) / rankCount * rankCount
        let groups = x.elementCount / 4
        for first in stride(from: 0, to: groups, by: most) {
            let count = min(most, groups - first)
            let part = byParts ? (count + rankCount - 1) / rankCount : 0
            let address = x.address + UInt(16 * first)
            launch(
                kernels.sum, count, KernelWork(bytes: 32 * count),
                [
                    .init(wide: UInt64(address)), .init(count), .init(part),
                    .init(wide: UInt64(addresses.address)),
                    .init(meeting == nil ? 1 : 0),
                ])
            if byParts {
                let ends = (0...rankCount).map { min($0 * part, count) * 4 }
                share(
                    address, first: 0, count: 4 * count, width: 4 * count,
                    (0..<rankCount).map { ends[$0]..<ends[$0 + 1] })
            }
        }
    }

    /// Copies the columns `parts[k]` of rank k's x, rows of `width` elements of four bytes, to the others.
    func share(_ x: Tensor, width: Int, parts: [Range<Int>]) {
        let most = Self.halfByteCount / 4
        for first in stride(from: 0, to: x.elementCount, by: most) {
            share(x.address, first: first, count: min(most, x.elementCount - first), width: width, parts)
        }
    }

    private func share(_ address: UInt, first: Int, count: Int, width: Int, _ parts: [Range<Int>]) {
        let columns = parts + [Range<Int>](repeating: 0..<0, count: Self.mostRanks - parts.count)
        launch(
            kernels.share, count, KernelWork(bytes: 8 * count),
            [.init(wide: UInt64(address)), .init(first), .init(count), .init(width)]
                + columns.map { KernelSlot($0) }
                + [.init(wide: UInt64(addresses.address)), .init(meeting == nil ? 1 : 0)])
    }

    private func launch(_ kernel: CUDAKernel, _ count: Int, _ work: KernelWork, _ slots: [KernelSlot]) {
        // So few that those of all ranks run at once, also on one GPU.
        let blocks = min((count + Self.threads - 1) / Self.threads, meeting == nil ? 128 : 128 / rankCount)
        meeting?.wait()
        stream.launch(kernel, grid: (max(1, blocks), 1, 1), block: Self.threads, work: work, slots)
    }

    /// Waits for all that this rank has enqueued.
    func finish() { try? stream.wait() }

    /// Begins to count exchanges anew; nobody may be exchanging.
    func forget() {
        meeting?.reset()
        stream.fill(area.address, byteCount: Self.headByteCount)
    }
}

/// The kernels of ranks.cu.
struct RankKernels: Sendable {
    let sum, share: CUDAKernel

    init(_ compiler: KernelCompiler) throws(DeviceError) {
        sum = try compiler.kernel("sum_of_ranks", KernelModule(source: "ranks"))
        share = try compiler.kernel("share_of_ranks", KernelModule(source: "ranks"))
    }
}

extension KernelSlot {
    /// A range of columns.
    fileprivate init(_ columns: Range<Int>) {
        self.init(
            wide: UInt64(UInt32(truncatingIfNeeded: columns.lowerBound))
                | UInt64(UInt32(truncatingIfNeeded: columns.upperBound)) << 32)
    }
}

extension CUDADevice {
    /// Zeroes what is outside of the columns `kept` of x, rows of `width` elements of four bytes.
    func keepColumns(_ kept: Range<Int>, of x: Tensor, width: Int) {
        do throws(DeviceError) {
            let kernel = try compiler.kernel("keep_columns", KernelModule(source: "ranks"))
            let blocks = max(1, min((x.elementCount + 255) / 256, 8 * stream.properties.processorCount))
            stream.launch(
                kernel, grid: (blocks, 1, 1), block: 256,
                [.init(x), .init(wide: UInt64(x.elementCount)), .init(width), KernelSlot(kept)])
        } catch {
            stream.fail(error)
        }
    }
}

extension CUDAStream {
    /// Whether kernels of this GPU can write to the memory of another.
    fileprivate func reaches(_ other: CUDAStream) -> Bool {
        var can: Int32 = 0
        let status = unsafe libraries.driver.can_access_peer(&can, properties.device, other.properties.device)
        return status == 0 && can != 0
    }

    /// Lets kernels of this GPU write to the memory of another.
    fileprivate func openMemory(of other: CUDAStream) throws(DeviceError) {
        enter()
        let isOpenAlready: Int32 = 704
        let status = unsafe libraries.driver.enable_peer(
            UnsafeMutableRawPointer(bitPattern: other.context), 0)
        guard status != isOpenAlready else { return }
        try Self.attempt(libraries, status, "opening the memory of GPU \(other.properties.device)")
    }
}
