import CUDAStandIn
import Tensors
import Testing

@testable import CUDABackend

extension CUDATests {
    @Suite struct ProductTests {
        private func weights(_ device: CUDADevice, _ outputs: Int, _ inputs: Int, hasBias: Bool = false)
            throws -> any LinearWeights
        {
            let bias = hostTensor([Float](repeating: 1, count: outputs), [outputs], .f32)
            return try device.prepareLinear(
                weights: [
                    hostTensor([UInt16](repeating: 0, count: outputs * inputs), [outputs, inputs], .bf16)
                ],
                bias: hasBias ? [bias] : [], scale: nil, elementType: .bf16)
        }

        @Test func `products of many rows are chosen once for a bucket of rows`() {
            #expect(
                [1, 16, 17, 64, 65, 128, 1000, 1024, 1025, 1281].map(Matmul.bucket) == [
                    16, 16, 32, 64, 128, 128, 1024, 1024, 1280, 1536,
                ])
            for rows in 1...3000 {
                let bucket = Matmul.bucket(rows)
                #expect(bucket >= rows && Matmul.bucket(bucket) == bucket && bucket < rows + 256)
            }
        }

        @Test func `products of more than four rows go to the library, each with its own end`() throws {
            let device = try StandIn.device()
            let plain = try weights(device, 96, 64),
                biased = try #require(try weights(device, 96, 64, hasBias: true) as? CUDAWeights)
            let x = try device.makeTensor([20, 64], .bf16)
            func run(_ weights: any LinearWeights, _ epilogue: LinearEpilogue, _ out: Tensor) throws
                -> [StandIn.Launch]
            {
                try device.launches {
                    device.operators.linear(.rows(x), weights, epilogue: epilogue, out: out)
                }
            }
            let operand = try device.makeTensor([20, 96], .bf16),
                sums = try device.makeTensor([20, 96], .f32)
            let first = try run(plain, .none, operand)
            #expect(first.map(\.name) == ["multiply"] && first[0].grid == [96, 20, 64])
            #expect(
                first[0].parameters[0...5] == [
                    0, UInt64(x.address), first[0].parameters[2], UInt64(operand.address), 0, 14,
                ])
            // The algorithm is the one for a bucket of 32.
            #expect(first[0].parameters[6] == 32)
            _ = try run(plain, .none, operand)
            #expect(StandIn.calls("blas.heuristic") == 1)
            let added = try run(biased, .addToOutput, sums)[0].parameters
            #expect(added[0] == UInt64(try #require(biased.bias).address) && added[4] == 1 && added[5] == 0)
            let curved = try run(biased, .gelu(.exact), operand)
            #expect(curved.map(\.name) == ["multiply", "gelu"])
            #expect(curved[0].parameters[0] == UInt64(try #require(biased.roundedBias).address))
            let both = try device.makeTensor([20, 96], .bf16), half = try device.makeTensor([20, 48], .bf16)
            let gated = try run(plain, .siluMultiply(scratch: both), half)
            #expect(gated.map(\.name) == ["multiply", "silu_multiply"])
            #expect(
                gated[0].parameters[3] == UInt64(both.address)
                    && gated[1].parameters[1] == UInt64(half.address))
            #expect(StandIn.calls("blas.create_layout") == StandIn.calls("blas.set_preference") * 3 + 5 * 3)
        }

        @Test func `an algorithm that does not do for fewer rows is chosen anew`() throws {
            let device = try StandIn.device(), weights = try weights(device, 96, 64)
            let x = try device.makeTensor([20, 64], .bf16), out = try device.makeTensor([20, 96], .bf16)
            StandIn.fail("blas.multiply", 15)
            let launches = try device.launches {
                device.operators.linear(.rows(x), weights, epilogue: .none, out: out)
            }
            #expect(launches.map { $0.parameters[6] } == [20])
            StandIn.fail("blas.multiply", 15, times: 2)
            device.operators.linear(.rows(x), weights, epilogue: .none, out: out)
            #expect(refusal { try device.wait() }.contains("a product of 20 × 96 × 64 failed"))
        }

        @Test func `what was the fastest is taken from then on, also by a later device`() throws {
            let folder = try TemporaryFolder(), store = KernelStore(folder: folder.path)
            let device = try CUDADevice(libraries: StandIn.reset(), ordinal: 0, store: store)
            let large = try weights(device, 1024, 1024), small = try weights(device, 96, 64)
            let x = try device.makeTensor([70, 1024], .bf16), out = try device.makeTensor([70, 1024], .bf16)
            let y = try device.makeTensor([70, 64], .bf16), end = try device.makeTensor([70, 96], .bf16)
            func run(_ device: CUDADevice, _ rows: Int) {
                device.operators.linear(.rows(x[0..<rows]), large, epilogue: .none, out: out[0..<rows])
                device.operators.linear(.rows(y[0..<rows]), small, epilogue: .none, out: end[0..<rows])
            }
            /// The numbers of the algorithms.
            func taken(_ device: CUDADevice, _ rows: Int) throws -> [UInt64] {
                try device.launches { run(device, rows) }.map { $0.parameters[6] >> 32 }
            }
            #expect(try taken(device, 70) == [0, 0])
            try device.learn {
                run(device, 20)
                run(device, 70)
                run(device, 40)
            }
            // Every number of rows was measured, those that no call had among them, but for small products.
            for rows in [5, 20, 40, 64, 70] { #expect(try taken(device, rows) == [1, 0], "\(rows)") }
            #expect(try device.launches { try device.learn { run(device, 70) } }.count == 2)
            let later = try CUDADevice(libraries: StandIn.reset(), ordinal: 0, store: store)
            for rows in [5, 20, 40, 64, 70] { #expect(try taken(later, rows) == [1, 0], "\(rows), kept") }
            #expect(try taken(later, 5) == [1, 0])
            // Of another GPU, nothing is known.
            let other = try CUDADevice(
                libraries: StandIn.reset(), ordinal: 0, store: KernelStore(folder: nil))
            #expect(try taken(other, 70) == [0, 0])
        }

        @Test func `algorithms that fail are not taken, and watching ends with an error`() throws {
            let device = try StandIn.device(), weights = try weights(device, 1024, 1024)
            let x = try device.makeTensor([70, 1024], .bf16), out = try device.makeTensor([70, 1024], .bf16)
            func run() { device.operators.linear(.rows(x), weights, epilogue: .none, out: out) }
            #expect(throws: DeviceError.outOfMemory(requested: 1)) {
                try device.learn { () throws(DeviceError) in
                    run()
                    throw .outOfMemory(requested: 1)
                }
            }
            #expect(StandIn.launches.count { $0.name == "multiply" } <= 1)
            // The calls: one of the work, then for 16 rows three candidates once, of which the second fails.
            StandIn.fail("blas.multiply", 15, after: 2)
            try device.learn { run() }
            let launches = try device.launches {
                device.operators.linear(.rows(x[0..<16]), weights, epilogue: .none, out: out[0..<16])
                run()
            }
            #expect(launches.map { $0.parameters[6] >> 32 } == [0, 1])
        }

        @Test(arguments: [
            (896, 56), (4608, 132), (100, 7), (16, 1), (151_674, 132),
        ])
        func `products of few rows take a tile a block, at most a block a processor`(
            outputs: Int, blocks: Int
        )
            throws
        {
            let device = try StandIn.device(), weights = try weights(device, outputs, 64)
            for rows in 1...4 {
                let x = try device.makeTensor([rows, 64], .bf16),
                    out = try device.makeTensor([rows, outputs], .f32)
                let launch = try #require(
                    try device.launches {
                        device.operators.linear(.rows(x), weights, epilogue: .none, out: out)
                    }.first)
                #expect(launch.name == "product_few_f32" && launch.grid == [blocks, 1, 1])
                #expect(launch.block == 256 && launch.shared == 8 * 16_384 + rows * 64 * 2 && launch.overlaps)
            }
        }

        @Test func `few rows have a kernel for every end, and norm their rows where they fit`() throws {
            let device = try StandIn.device(), weights = try weights(device, 64, 896)
            let stream = try device.makeTensor([2, 896], .f32),
                scratch = try device.makeTensor([2, 896], .bf16)
            let norm = try device.makeTensor([896], .f32)
            let out = try device.makeTensor([2, 64], .bf16), sums = try device.makeTensor([2, 64], .f32)
            let half = try device.makeTensor([2, 32], .bf16)
            let ends: [(LinearEpilogue, Tensor, String)] = [
                (.none, out, "bf16"), (.none, sums, "f32"), (.addToOutput, sums, "add"),
                (.gelu(.exact), out, "gelu"),
                (.siluMultiply(scratch: out), half, "gated"),
            ]
            for (epilogue, target, end) in ends {
                let few = try device.launches {
                    device.operators.linear(.rows(scratch), weights, epilogue: epilogue, out: target)
                }
                #expect(few.map(\.name) == ["product_few_\(end)"] && few[0].grid == [4, 1, 1])
                let normed = try device.launches {
                    device.operators.linear(
                        .rmsNorm(stream, weight: norm, epsilon: 1e-6, scratch: scratch), weights,
                        epilogue: epilogue, out: target)
                }
                #expect(normed.map(\.name) == ["product_norm_\(end)"])
                #expect(normed[0].shared == 8 * 16_384 + 2 * 896 * 2)
            }
            // Four rows of 16,384 values do not fit beside the ring of a smaller GPU: they are normed before.
            let small = try StandIn.device(StandIn.ampere)
            let wide = try self.weights(small, 16, 16_384)
            let long = try small.makeTensor([4, 16_384], .f32),
                room = try small.makeTensor([4, 16_384], .bf16)
            let launches = try small.launches {
                small.operators.linear(
                    .rmsNorm(
                        long, weight: try small.makeTensor([16_384], .f32), epsilon: 1e-6, scratch: room),
                    wide,
                    epilogue: .none, out: try small.makeTensor([4, 16], .f32))
            }
            #expect(launches.map(\.name) == ["rms_norm", "product_few_f32"])
        }

        @Test func `columns that are no multiple of eight go to the library`() throws {
            let device = try StandIn.device(), weights = try weights(device, 32, 36)
            let x = try device.makeTensor([1, 36], .bf16), out = try device.makeTensor([1, 32], .bf16)
            let launches = try device.launches {
                device.operators.linear(.rows(x), weights, epilogue: .none, out: out)
            }
            #expect(launches.map(\.name) == ["multiply"])
        }

        @Test func `nothing is launched for no rows`() throws {
            let device = try StandIn.device(), weights = try weights(device, 32, 64)
            let nothing = try device.makeTensor([0, 64], .bf16), out = try device.makeTensor([0, 32], .bf16)
            let launches = try device.launches {
                device.operators.linear(.rows(nothing), weights, epilogue: .none, out: out)
                device.operators.gatherRows(
                    try device.makeTensor([3, 8], .f32), rows: try device.makeTensor([0], .i32),
                    out: try device.makeTensor([0, 8], .f32))
            }
            #expect(launches.isEmpty)
        }
    }
}
