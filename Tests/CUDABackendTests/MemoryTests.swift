import CUDAStandIn
import Tensors
import TestRandom
import Testing

@testable import CUDABackend

extension CUDATests {
    @Suite struct MemoryTests {
        private func numbers(_ count: Int, seed: UInt64 = 1) -> [Float] {
            var random = SeededRandom(seed: seed)
            return (0..<count).map { _ in Float.random(in: -2..<2, using: &random) }
        }

        @Test func `memory begins as zero and is counted, and given back`() throws {
            let device = try StandIn.device()
            let free = device.freeByteCount
            var storage: Storage? = try device.allocate(byteCount: 50_000)
            let given = try #require(storage)
            #expect(free - device.freeByteCount == 50_000 && given.byteCount == 50_000)
            #expect(try device.bytes(at: UInt64(given.address), count: 50_000).allSatisfy { $0 == 0 })
            #expect(try device.allocate(byteCount: 0).byteCount > 0)
            withExtendedLifetime(given) { storage = nil }
        }

        @Test func `a device that goes takes its memory and its events along`() throws {
            let bytes = stand_in_live_bytes(), pinned = stand_in_live_pinned(),
                events = stand_in_live_events()
            do {
                let device = try StandIn.device()
                let source = hostTensor(numbers(64), [8, 8], .f32)
                let weights = try device.prepareLinear(
                    weights: [source], bias: [], scale: nil, elementType: .bf16)
                let sampler = try device.makeSampler(capacity: 4, vocabularyCount: 1000)
                #expect(stand_in_live_pinned() > pinned && stand_in_live_events() > events)
                withExtendedLifetime((weights, sampler)) {}
            }
            #expect(stand_in_live_bytes() == bytes && stand_in_live_pinned() == pinned)
            #expect(stand_in_live_events() == events)
        }

        @Test func `more than there is, is refused with the size, and the device goes on`() throws {
            let device = try StandIn.device()
            #expect(throws: DeviceError.outOfMemory(requested: 1 << 40)) {
                try device.allocate(byteCount: 1 << 40)
            }
            StandIn.fail("allocate", 2)
            #expect(throws: DeviceError.outOfMemory(requested: 800)) {
                try device.makeTensor([10, 20], .f32)
            }
            StandIn.fail("allocate", 2)
            let source = hostTensor(numbers(512), [16, 32], .f32)
            #expect(throws: DeviceError.outOfMemory(requested: 1024)) {
                try device.prepareLinear(weights: [source], bias: [], scale: nil, elementType: .bf16)
            }
            try device.wait()
            StandIn.fail("allocate", 999)
            #expect(
                refusal { _ = try device.allocate(byteCount: 7) }
                    == "allocating 7 bytes failed: error 999 of the stand-in")
        }

        // Copies of the stand-in take their bytes when somebody waits: a part that is used again too early shows.
        @Test(arguments: [1, 1000, 4 << 20, (4 << 20) + 1, 75_000_001])
        func `bytes come back as they went, also more than all page-locked parts hold`(count: Int) throws {
            let device = try StandIn.device()
            // No part begins where another does in the pattern.
            let pattern = (0..<65_521).map { UInt8(truncatingIfNeeded: $0 ^ $0 >> 8) }
            let sent = Array((0...(count / pattern.count)).flatMap { _ in pattern }.prefix(count))
            let tensor = try device.makeTensor([count], .u8)
            var changing = sent
            device.write(changing, to: tensor)
            for index in changing.indices.prefix(2000) { changing[index] = 0xee }
            #expect(try device.bytes(tensor) == sent)
        }

        @Test func `many writes one after another, each to its own place`() throws {
            let device = try StandIn.device()
            let tensors = try (0..<50).map { _ in try device.makeTensor([1000], .i32) }
            for (index, tensor) in tensors.enumerated() {
                device.write([Int32](repeating: Int32(index), count: 1000), to: tensor)
            }
            for (index, tensor) in tensors.enumerated() {
                #expect(try device.readIntegers(tensor).allSatisfy { $0 == index })
            }
        }

        @Test func `tensors are loaded as they are or converted, nearest even`() throws {
            let device = try StandIn.device(), values = numbers(3 * 50)
            let source = hostTensor(values, [3, 50], .f32)
            #expect(try device.bytes(device.load(source, as: .f32)) == bytes(values))
            #expect(StandIn.launches.isEmpty)
            let loaded = try device.load(source, as: .bf16)
            #expect(loaded.shape == [3, 50] && loaded.elementType == .bf16)
            #expect(try device.bytes(loaded) == bytes(values.map(bf16Bits)))
            #expect(StandIn.launches.map(\.name) == ["convert"])
            let halves = [Float16(1.5), -0.25, 3, .infinity]
            let widened = try device.load(hostTensor(halves, [4], .f16), as: .f32)
            #expect(try device.readFloats(widened) == halves.map { Float($0) })
            #expect(throws: DeviceError.unsupportedConversion(from: .i64, to: .f32)) {
                try device.load(hostTensor([Int64(1)], [1], .i64), as: .f32)
            }
        }

        @Test func `what is larger than a lane's part is converted piece by piece, each with its scales`()
            throws
        {
            let device = try StandIn.device()
            let rows = 5, columns = 1 << 20, row = (0..<columns).map { Float($0 % 509) }
            let source = hostTensor((0..<rows).flatMap { _ in row }, [rows, columns], .f32)
            let scale = hostTensor((0..<rows).map { Float(1 << $0) }, [rows], .f32)
            let weights = try #require(
                try device.prepareLinear(weights: [source], bias: [], scale: scale, elementType: .bf16)
                    as? CUDAWeights)
            let expected = (0..<rows).flatMap { scale in row.map { bf16Bits($0 * Float(1 << scale)) } }
            #expect(try device.bytes(weights.matrix) == bytes(expected))
            #expect(StandIn.launches.map(\.name) == ["convert", "convert", "convert"])
        }

        @Test func `weights are stacked, scaled by row, and their biases kept in both types`() throws {
            let device = try StandIn.device()
            let first = numbers(3 * 8, seed: 2), second = numbers(2 * 8, seed: 3)
            let bias = numbers(5, seed: 4), scale = numbers(5, seed: 5)
            let parts = [
                hostTensor(first, [3, 8], .f32), hostTensor(second.map(bf16Bits), [2, 8], .bf16),
            ]
            let biases = [
                hostTensor(Array(bias.prefix(3)), [3], .f32), hostTensor(Array(bias.suffix(2)), [2], .f32),
            ]
            func prepared(_ scale: Tensor?) throws -> CUDAWeights {
                try #require(
                    try device.prepareLinear(weights: parts, bias: biases, scale: scale, elementType: .bf16)
                        as? CUDAWeights)
            }
            let rounded = second.map { Float(bitPattern: UInt32(bf16Bits($0)) << 16) }
            let matrix = first + rounded
            let plain = try prepared(nil)
            #expect(plain.outputCount == 5 && plain.inputCount == 8 && plain.byteCount == 5 * 8 * 2 + 5 * 6)
            #expect(try device.bytes(plain.matrix) == bytes(matrix.map(bf16Bits)))
            #expect(try device.bytes(#require(plain.bias)) == bytes(bias))
            #expect(try device.bytes(#require(plain.roundedBias)) == bytes(bias.map(bf16Bits)))
            let scaled = try prepared(hostTensor(scale, [5], .f32))
            let products = matrix.indices.map { matrix[$0] * scale[$0 / 8] }
            #expect(try device.bytes(scaled.matrix) == bytes(products.map(bf16Bits)))
            let scaledBias = zip(bias, scale).map { $0 * $1 }
            #expect(try device.bytes(#require(scaled.bias)) == bytes(scaledBias))
            #expect(try device.bytes(#require(scaled.roundedBias)) == bytes(scaledBias.map(bf16Bits)))
            let none = try device.prepareLinear(weights: parts, bias: [], scale: nil, elementType: .bf16)
            #expect(none.byteCount == 80)
            #expect(throws: DeviceError.unsupportedConversion(from: .bf16, to: .f32)) {
                try device.prepareLinear(weights: parts, bias: [], scale: nil, elementType: .f32)
            }
        }

        @Test func `several threads load at a time`() throws {
            let device = try StandIn.device()
            let loaded = try inParallel(count: 12, threads: 3) { (index) throws(DeviceError) -> Tensor in
                let source = hostTensor([Float](repeating: Float(index), count: 40_000), [200, 200], .f32)
                return try device.load(source, as: .bf16)
            }
            for (index, tensor) in loaded.enumerated() {
                #expect(
                    try device.bytes(tensor)
                        == bytes([UInt16](repeating: bf16Bits(Float(index)), count: 40_000)))
            }
        }
    }
}
