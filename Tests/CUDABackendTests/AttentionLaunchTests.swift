import CUDAStandIn
import Tensors
import Testing

@testable import CUDABackend

extension CUDATests {
    @Suite struct AttentionLaunchTests {
        private func attention(
            _ device: CUDADevice, _ heads: HeadLayout, singles: Int, others: Int = 0, queries: Int = 1,
            pages: Int,
        ) throws -> [StandIn.Launch] {
            let count = singles + others, tokens = singles + others * queries
            func integers(_ shape: Shape) throws -> Tensor { try device.makeTensor(shape, .i32) }
            let batch = AttentionBatch(
                positions: try integers([tokens]), slots: try integers([tokens]),
                queryStarts: try integers([count + 1]),
                contextLengths: try integers([count]), pageTable: try integers([count, pages]),
                sequenceCount: count,
                singleCount: singles, maxQueryCount: queries, maxContextLength: pages * 16)
            let cache = try device.makeTensor([pages, heads.keyValueHeads, 16, heads.headDim], .bf16)
            let qkv = try device.makeTensor([tokens, heads.columnCount], .bf16)
            let out = try device.makeTensor([tokens, heads.heads * heads.headDim], .bf16)
            return try device.launches {
                device.operators.pagedAttention(
                    qkv: qkv, heads: heads, scale: 0.125, batch: batch,
                    cache: KVLayer(keys: cache, values: cache), out: out)
            }
        }

        @Test func `long contexts of few sequences are cut until the GPU is full`() throws {
            let device = try StandIn.device()
            let heads = HeadLayout(heads: 14, keyValueHeads: 2, headDim: 64)
            for (sequences, pages, splits) in [
                (1, 1, 1), (1, 4, 1), (1, 5, 2), (1, 64, 16), (1, 2048, 32), (8, 2048, 16), (32, 2048, 4),
                (65, 2048, 2),
                (66, 2048, 1), (200, 2048, 1),
            ] {
                let launch = try #require(
                    try attention(device, heads, singles: sequences, pages: pages).first)
                #expect(launch.name == "decode_attention" && launch.block == 128)
                #expect(launch.grid == [splits, 2, sequences], "\(sequences) sequences of \(pages) pages")
            }
            let wide = HeadLayout(heads: 40, keyValueHeads: 2, headDim: 128)
            // Twenty queries a key head are two rows of sixteen.
            #expect(try attention(device, wide, singles: 1, pages: 4)[0].grid == [1, 4, 1])
        }

        @Test func `sequences of one token and of many go to kernels of their own`() throws {
            let device = try StandIn.device()
            let heads = HeadLayout(heads: 14, keyValueHeads: 2, headDim: 64)
            let launches = try attention(device, heads, singles: 3, others: 2, queries: 50, pages: 8)
            #expect(launches.map(\.name) == ["decode_attention", "prefill_attention"])
            // Fifty queries of seven heads: 350 rows in tiles of 128.
            #expect(launches[1].grid == [2, 2, 3] && launches[1].block == 128)
            #expect(launches[1].shared == (128 + 4 * 48) * 72 * 2)
            let large = HeadLayout(heads: 2, keyValueHeads: 2, headDim: 256)
            let tiles = try attention(device, large, singles: 0, others: 1, queries: 130, pages: 16)
            #expect(tiles.map(\.name) == ["prefill_attention"] && tiles[0].grid == [2, 1, 3])
            #expect(tiles[0].shared == (64 + 4 * 32) * 264 * 2)
        }

        @Test func `full attention has a block for each head, sequence and tile of rows`() throws {
            let device = try StandIn.device()
            let qkv = try device.makeTensor([3 * 1025, 3 * 16 * 64], .bf16),
                out = try device.makeTensor([3 * 1025, 16 * 64], .bf16)
            let launches = try device.launches {
                device.operators.fullAttention(
                    qkv: qkv, sequences: PackedSequences(count: 3, length: 1025), heads: 16, headDim: 64,
                    scale: 0.125, out: out)
            }
            #expect(launches.map(\.name) == ["full_attention"] && launches[0].grid == [3, 16, 9])
            let compiled = try #require(StandIn.compilations.last)
            #expect(
                compiled.hasSuffix(
                    " -DDECODE_STAGES=3 -DHEAD_DIM=64 -DPAGE_SIZE=16 -DTILE_BLOCKS=3 -DTILE_KEYS=48 -DTILE_QUERIES_IN_REGISTERS=0"
                ))
        }

        @Test(arguments: [StandIn.hopper, StandIn.ampere, StandIn.ada])
        func `heads that are taken have kernels that fit`(gpu: stand_in_gpu) throws {
            for headDim in [16, 64, 72, 80, 96, 128, 192, 256] {
                let device = try StandIn.device(gpu),
                    heads = HeadLayout(heads: 4, keyValueHeads: 2, headDim: headDim)
                let turningPairs = headDim / 8 * 4
                if gpu.shared_bytes < 102_400, headDim > 128 {
                    let refusal = refusal {
                        try device.checkHeads(headDim: headDim, turningPairs: turningPairs)
                    }
                    #expect(refusal.contains("need more than the 101376 bytes of shared memory"))
                    continue
                }
                try device.checkHeads(headDim: headDim, turningPairs: turningPairs)
                let launches = try attention(device, heads, singles: 2, others: 1, queries: 9, pages: 40)
                #expect(launches.count == 2)
                #expect(launches.allSatisfy { $0.overlaps == (gpu.major == 9) })
            }
        }

        @Test func `row kernels have a thread for sixteen values, in whole warps`() throws {
            #expect([1, 512, 513, 896, 3584, 16_384].map(RowKernels.threads) == [32, 32, 64, 64, 224, 1024])
            let device = try StandIn.device()
            let x = try device.makeTensor([7, 896], .f32), weight = try device.makeTensor([896], .f32)
            let out = try device.makeTensor([7, 896], .bf16)
            let launches = try device.launches {
                device.operators.rmsNorm(x, weight: weight, epsilon: 1e-5, out: out)
            }
            #expect(
                launches.map(\.name) == ["rms_norm"] && launches[0].grid == [7, 1, 1]
                    && launches[0].block == 64)
            #expect(launches[0].parameters[0...2].elementsEqual([x, weight, out].map { UInt64($0.address) }))
            #expect(launches[0].float(5) == 1e-5)
        }
    }
}
