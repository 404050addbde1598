import CUDAStandIn
import Tensors
import Testing

@testable import CUDABackend

extension CUDATests {
    /// What ranks on GPUs launch to meet each other.
    struct RankTests {
        /// Devices on the GPUs `ordinals`.
        private func devices(_ ordinals: [Int]) throws -> [CUDADevice] {
            var gpu = StandIn.hopper
            gpu.count = 16
            let libraries = StandIn.reset(gpu)
            return try ordinals.map {
                try CUDADevice(libraries: libraries, ordinal: $0, store: KernelStore(folder: nil))
            }
        }

        private func collectives(_ devices: [CUDADevice]) throws -> [CUDACollective] {
            try CUDACollective.ranks(devices, inGroupsOf: devices.count, by: .peers).map(\.all)
        }

        @Test func `two ranks add up whole messages, in as many windows as they need`() throws {
            let devices = try devices([0, 1]), ranks = try collectives(devices)
            for (rank, device) in devices.enumerated() {
                let small = try device.makeTensor([1, 3584], .f32)
                let found = try device.launches { ranks[rank].sum(small) }
                #expect(found.map(\.name) == ["sum_of_ranks"])
                #expect(found[0].parameters[0] == UInt64(small.address))
                // Groups of four, no parts, and what follows may begin: each rank has a GPU of its own.
                #expect(found[0].parameters[1...2] == [896, 0] && found[0].parameters[4] == 1)
                #expect(found[0].grid == [4, 1, 1])
            }
            let large = try devices[0].makeTensor([(4 << 20) + 4], .f32)
            let windows = try devices[0].launches { ranks[0].sum(large) }
            #expect(windows.map { $0.parameters[1] } == [1 << 20, 1])
            #expect(windows[1].parameters[0] == UInt64(large.address) + 16 << 20)
        }

        @Test func `more ranks add up parts of long messages and share them`() throws {
            let devices = try devices([0, 1, 0]), ranks = try collectives(devices)
            // Ranks that share a GPU wait for each other on the host, unless one has left.
            ranks[0].abandon()
            let x = try devices[2].makeTensor([100_000, 4], .f32)
            let found = try devices[2].launches { ranks[2].sum(x) }
            #expect(found.map(\.name) == ["sum_of_ranks", "share_of_ranks"])
            #expect(found[0].parameters[1...2] == [100_000, 33_334])
            // Elements of the three parts, begin and end.
            let ends: [UInt64] = [0, 133_336, 266_672, 400_000]
            #expect(found[1].parameters[4..<7] == ArraySlice((0..<3).map { ends[$0] | ends[$0 + 1] << 32 }))
            // Two of them have one GPU: nothing may take the place of a rank that is waited for.
            #expect(found.allSatisfy { $0.parameters.last == 0 && $0.grid[0] <= 128 / 3 })
            let short = try devices[2].makeTensor([100, 4], .f32)
            let whole = try devices[2].launches { ranks[2].sum(short) }
            #expect(whole.map { $0.parameters[2] } == [0])
        }

        @Test func `rows and columns are shared by the elements each rank has`() throws {
            let devices = try devices([0, 1]), ranks = try collectives(devices)
            let x = try devices[0].makeTensor([6, 10], .i32)
            let rows = try devices[0].launches { ranks[0].share(x, parts: [0..<2, 2..<6]) }[0].parameters
            let rowWords: [UInt64] = [0, 60, 60, 20 << 32, 20 | 60 << 32]
            #expect(Array(rows[1...5]) == rowWords)
            let columns = try devices[0].launches { ranks[0].shareColumns(x, parts: [0..<3, 3..<10]) }[0]
                .parameters
            let columnWords: [UInt64] = [0, 60, 10, 3 << 32, 3 | 10 << 32]
            #expect(Array(columns[1...5]) == columnWords)
        }

        @Test func `the kernels find every rank's area, the word of trouble, and who they are`() throws {
            let devices = try devices([0, 1]), ranks = try collectives(devices)
            var areas: [[UInt64]] = []
            for (rank, device) in devices.enumerated() {
                let x = try device.makeTensor([4], .f32)
                let meeting = try device.launches { ranks[rank].sum(x) }[0].parameters[3]
                let bytes = try device.bytes(at: meeting, count: 96)
                let words = (0..<12).map { word in
                    (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[8 * word + $1]) << (8 * UInt64($1)) }
                }
                areas.append(Array(words[0..<8]))
                #expect(words[8] != 0 && words[9] == UInt64(rank) | 2 << 32 && words[10] == 32 << 20)
            }
            #expect(areas[0] == areas[1] && Set(areas[0]).count == 3 && areas[0][2] == 0)
        }

        @Test func `who leaves is seen by all, and forgotten with the exchanges so far`() throws {
            let devices = try devices([0, 1]), ranks = try collectives(devices)
            #expect(ranks.allSatisfy { !$0.isAbandoned })
            ranks[1].abandon()
            #expect(ranks.allSatisfy { $0.isAbandoned })
            let before = StandIn.calls("fill")
            ranks[0].rejoin()
            #expect(ranks.allSatisfy { !$0.isAbandoned } && StandIn.calls("fill") == before + 2)
        }

        @Test func `a rank that rehearses alone exchanges nothing`() throws {
            let devices = try devices([0, 1]), ranks = try collectives(devices)
            let x = try devices[0].makeTensor([8, 4], .f32)
            ranks[0].rehearseAlone(true)
            let alone = try devices[0].launches {
                ranks[0].sum(x)
                ranks[0].share(x, parts: [0..<8, 0..<0])
            }
            #expect(alone.isEmpty)
            ranks[0].rehearseAlone(false)
            let together = try devices[0].launches { ranks[0].sum(x) }
            #expect(together.count == 1)
        }

        @Test func `GPUs that do not reach each other use NCCL, and more ranks than eight are refused`()
            throws
        {
            for (ordinals, best) in [([3, 4], RankTransport.peers), ([5, 5], .peers), ([3, 5], .nccl)] {
                let found = CUDACollective.transport(try devices(ordinals))
                #expect(found == best)
            }
            let many = try devices(Array(repeating: 0, count: 9))
            let tooMany = refusal { _ = try collectives(many) }
            #expect(tooMany.hasPrefix("9 ranks are not supported on GPUs"))
            let far = try devices([3, 5])
            let missing = refusal {
                _ = try CUDACollective.ranks(far, inGroupsOf: 2, by: .nccl, libraryFolder: "/nowhere")
            }
            #expect(missing.hasPrefix("libnccl.so.2 is needed for ranks on GPUs"))
        }
    }
}
