import CUDAStandIn
import Tensors
import Testing

@testable import CUDABackend

extension CUDATests {
    @Suite struct ReplayTests {
        private func key(_ count: Int = 4, generation: Int = 1) -> ReplayKey {
            ReplayKey(sequenceCount: count, pageColumns: 8, bank: 0, generation: generation)
        }

        @Test func `work is done, then recorded, then repeated without asking again`() throws {
            let device = try StandIn.device()
            let x = try device.makeTensor([3, 64], .f32), rows = try device.makeTensor([2], .i32)
            let out = try device.makeTensor([2, 64], .f32)
            var bodies = 0
            for time in 1...5 {
                let launches = try device.launches {
                    try device.replay(key()) { () throws(DeviceError) in
                        bodies += 1
                        device.operators.gatherRows(x, rows: rows, out: out)
                        device.operators.gatherRows(out, rows: rows, out: out)
                    }
                }
                #expect(bodies == min(time, 2))
                #expect(launches.map(\.name) == ["gather_rows", "gather_rows"])
                #expect(StandIn.calls("launch_graph") == max(0, time - 1))
            }
            #expect(StandIn.calls("begin_capture") == 1 && StandIn.calls("instantiate") == 1)
            #expect(StandIn.calls("destroy_graph") == 1 && StandIn.calls("destroy_executable") == 0)
        }

        @Test func `each key has a record of its own, and another generation forgets them all`() throws {
            let device = try StandIn.device()
            var bodies: [Int] = []
            func run(_ count: Int, _ generation: Int) throws {
                try device.replay(key(count, generation: generation)) { () throws(DeviceError) in
                    bodies.append(count)
                }
            }
            for count in [1, 2, 1, 2, 1, 2] { try run(count, 1) }
            #expect(bodies == [1, 2, 1, 2] && StandIn.calls("instantiate") == 2)
            try run(1, 2)
            #expect(bodies.count == 5 && StandIn.calls("destroy_executable") == 2)
            try run(1, 2)
            try run(1, 2)
            #expect(bodies.count == 6 && StandIn.calls("instantiate") == 3)
            try run(2, 1)
            #expect(bodies.count == 7 && StandIn.calls("destroy_executable") == 3)
            try device.wait()
        }

        @Test func `a body that throws is not recorded, and the next try is whole`() throws {
            let device = try StandIn.device(), failure = DeviceError.outOfMemory(requested: 1)
            var fails = true, bodies = 0
            func run() throws {
                try device.replay(key()) { () throws(DeviceError) in
                    bodies += 1
                    if fails { throw failure }
                }
            }
            #expect(throws: failure) { try run() }
            fails = false
            try run()
            fails = true
            #expect(throws: failure) { try run() }
            #expect(StandIn.calls("end_capture") == 1 && StandIn.calls("instantiate") == 0)
            fails = false
            try run()
            try run()
            #expect(bodies == 4 && StandIn.calls("launch_graph") == 2)
            try device.wait()
        }

        @Test func `memory that is asked for while recording is an error`() throws {
            let device = try StandIn.device()
            try device.replay(key()) { () throws(DeviceError) in }
            #expect(
                refusal {
                    try device.replay(key()) { () throws(DeviceError) in _ = try device.allocate(byteCount: 8)
                    }
                } == "allocating 8 bytes failed: error 900 of the stand-in")
        }

        @Test(arguments: ["begin_capture", "end_capture", "instantiate"])
        func `a record that cannot be made throws`(function: String) throws {
            let device = try StandIn.device()
            try device.replay(key()) { () throws(DeviceError) in }
            StandIn.fail(function, 999)
            let message = refusal { try device.replay(key()) { () throws(DeviceError) in } }
            #expect(
                message.hasSuffix("a recorded step failed: error 999 of the stand-in")
                    || message == "recording a step failed: error 999 of the stand-in")
        }

        @Test func `steps are padded to few sizes, never down, and by little`() throws {
            let device = try StandIn.device()
            #expect(
                [0, 1, 2, 3, 5, 9, 64, 65, 256, 257].map { device.paddedCount($0) } == [
                    1, 1, 2, 4, 8, 16, 64, 80, 256, 288,
                ])
            var sizes: Set<Int> = []
            for count in 1...512 {
                let padded = device.paddedCount(count)
                #expect(padded >= count && padded < max(count + 8, count * 5 / 4 + 8))
                #expect(device.paddedCount(padded) == padded && padded >= device.paddedCount(count - 1))
                sizes.insert(padded)
            }
            #expect(sizes.count < 40)
        }
    }
}
