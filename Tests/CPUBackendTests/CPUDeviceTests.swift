import CPUBackend
import Tensors
import Testing

@Suite struct CPUDeviceTests {
    @Test func `memory begins as zero, is aligned, and refused when there is none`() throws {
        let device = CPUDevice(threadCount: 1)
        for byteCount in [1, 64, 1000, 5 << 20] {
            let storage = try device.allocate(byteCount: byteCount)
            #expect(storage.byteCount >= byteCount && storage.address % 64 == 0)
            let bytes = Tensor(storage, shape: [byteCount], elementType: .u8)
            var copy = [UInt8](repeating: 1, count: byteCount)
            unsafe copy.withUnsafeMutableBytes { unsafe device.read(bytes, into: $0) }
            #expect(copy.allSatisfy { $0 == 0 })
        }
        let impossible = 1 << 60
        #expect(throws: DeviceError.outOfMemory(requested: impossible)) {
            try device.allocate(byteCount: impossible)
        }
        #expect(device.freeByteCount > 1 << 20)
    }

    @Test func `levels are capped by the processor's own`() {
        #expect(CPUDevice(threadCount: 1, level: .avx512bf16).level == .best)
        #expect(CPUDevice(threadCount: 1, level: .portable).level == .portable)
        #expect(CPULevel.preferred <= .best)
    }

    @Test func `many short calls on more threads than cores all do their work`() throws {
        let device = CPUDevice(threadCount: 5)
        let x = try device.tensor((0..<40_000).map { Float($0 % 97) }, [400, 100])
        let rows = try device.integers((0..<400).map { Int32(399 - $0) }, [400])
        let out = try device.makeTensor([400, 100], .f32)
        let expected = (0..<400).flatMap { row in (0..<100).map { Float(((399 - row) * 100 + $0) % 97) } }
        for round in 0..<2000 {
            device.operators.gatherRows(x, rows: rows, out: out)
            if round % 100 == 0 {
                #expect(device.readFloats(out) == expected)
                device.write([Float](repeating: -1, count: 40_000), to: out)
            }
        }
    }

    @Test func `one device serves several callers at a time`() async throws {
        let device = CPUDevice(threadCount: 2)
        var numbers = Numbers(60)
        let x = try device.tensor(numbers.floats(64 * 96), [64, 96])
        let weights = try device.prepareLinear(
            weights: [try device.tensor(numbers.floats(128 * 96), [128, 96])], bias: [], scale: nil,
            elementType: .bf16)
        let expected = try device.makeTensor([64, 128], .f32)
        device.operators.linear(.rows(x), weights, epilogue: .none, out: expected)
        let values = device.readFloats(expected)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    let out = try device.makeTensor([64, 128], .f32)
                    for _ in 0..<100 { device.operators.linear(.rows(x), weights, epilogue: .none, out: out) }
                    return device.readFloats(out) == values
                }
            }
            for try await same in group { #expect(same) }
        }
    }

    @Test func `devices come and go`() {
        for round in 0..<200 { #expect(CPUDevice(threadCount: 1 + round % 4).threadCount == 1 + round % 4) }
    }
}
