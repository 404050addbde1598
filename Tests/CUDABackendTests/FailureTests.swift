import CUDAStandIn
import Tensors
import Testing

@testable import CUDABackend

extension CUDATests {
    @Suite struct FailureTests {
        private func gather(_ device: CUDADevice) throws {
            let x = try device.makeTensor([1, 64], .f32), rows = try device.makeTensor([1], .i32)
            device.operators.gatherRows(x, rows: rows, out: try device.makeTensor([1, 64], .f32))
        }

        @Test func `the first error is told, by everything that waits, for good`() throws {
            let device = try StandIn.device()
            let tensor = try device.makeTensor([4], .f32)
            let sampler = try device.makeSampler(capacity: 2, vocabularyCount: 100)
            try device.wait()
            StandIn.fail("launch", 700)
            try gather(device)
            StandIn.fail("launch", 701)
            try gather(device)
            let first = DeviceError.failed(
                "Stand-in 0: the kernel gather_rows failed: error 700 of the stand-in")
            for _ in 0..<2 {
                #expect(throws: first) { try device.wait() }
                #expect(throws: first) { try device.readFloats(tensor) }
                sampler.set([SamplingRow(vocabularyCount: 100)])
                try sampler.choose(try device.makeTensor([1, 100], .f32))
                sampler.send()
                #expect(throws: first) { _ = try sampler.result() }
            }
        }

        @Test func `work that fails on the device is told by who waits for it`() throws {
            let device = try StandIn.device()
            StandIn.fail("synchronize", 719)
            let failure = DeviceError.failed("Stand-in 0: the work failed: error 719 of the stand-in")
            #expect(throws: failure) { try device.wait() }
            #expect(throws: failure) { try device.wait() }
        }

        @Test func `a sampler tells what failed before its result came`() throws {
            let device = try StandIn.device()
            let sampler = try device.makeSampler(capacity: 2, vocabularyCount: 100)
            sampler.set([SamplingRow(vocabularyCount: 100)])
            try sampler.choose(try device.makeTensor([1, 100], .f32))
            sampler.send()
            StandIn.fail("wait_event", 719)
            #expect(throws: DeviceError.failed("Stand-in 0: the work failed: error 719 of the stand-in")) {
                _ = try sampler.result()
            }
        }

        @Test(arguments: ["copy_in", "copy_out", "fill", "record", "set_context"])
        func `copies and marks that fail are told`(function: String) throws {
            let device = try StandIn.device()
            let tensor = try device.makeTensor([4], .f32)
            try device.wait()
            StandIn.fail(function, 999)
            #expect(
                refusal {
                    device.write([Float(1)], to: tensor)
                    _ = try device.makeTensor([4], .f32)
                    _ = try device.readFloats(tensor)
                }.hasSuffix("failed: error 999 of the stand-in"))
        }

        @Test func `a product that cannot be had is told with its size`() throws {
            let device = try StandIn.device()
            let weights = try device.prepareLinear(
                weights: [hostTensor([Float](repeating: 0, count: 64 * 32), [64, 32], .f32)], bias: [],
                scale: nil,
                elementType: .bf16)
            let x = try device.makeTensor([9, 32], .bf16), out = try device.makeTensor([9, 64], .bf16)
            StandIn.fail("blas.heuristic", 15)
            device.operators.linear(.rows(x), weights, epilogue: .none, out: out)
            #expect(refusal { try device.wait() }.contains("choosing a product of 64 × 32 failed"))
        }

        @Test func `attention whose kernels do not compile is told, and nothing is launched`() throws {
            let device = try StandIn.device()
            let qkv = try device.makeTensor([4, 3 * 64], .bf16), out = try device.makeTensor([4, 64], .bf16)
            try device.wait()
            let before = StandIn.launches.count
            StandIn.fail("compiler.compile", 6)
            device.operators.fullAttention(
                qkv: qkv, sequences: PackedSequences(count: 1, length: 4), heads: 1, headDim: 64, scale: 1,
                out: out)
            #expect(refusal { try device.wait() }.hasPrefix("attention.cu does not compile"))
            #expect(StandIn.launches.count == before)
        }
    }
}
