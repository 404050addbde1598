import CUDAStandIn
import Tensors
import TestRandom
import Testing

@testable import CUDABackend

extension CUDATests {
    @Suite struct ExpertTests {
        private func weights(
            _ device: CUDADevice, count: Int, width: Int, hidden: Int,
        ) throws -> any ExpertWeights {
            var weights = try device.makeExperts(
                count: count, width: width, hidden: hidden, elementType: .bf16)
            for _ in 0..<count {
                let both = hostTensor(
                    [Float](repeating: 1, count: 2 * width * hidden), [2 * width, hidden], .f32)
                let down = hostTensor([Float](repeating: 1, count: hidden * width), [hidden, width], .f32)
                try weights.append(gateUp: [both], down: down)
            }
            return weights
        }

        @Test func `experts lie one behind the other, gates before values`() throws {
            let device = try StandIn.device(), (width, hidden) = (8, 16)
            var weights = try device.makeExperts(count: 3, width: width, hidden: hidden, elementType: .bf16)
            var both: [UInt16] = [], down: [UInt16] = []
            for expert in 0..<3 {
                let values = (0..<(3 * width * hidden)).map { Float(expert * 1000 + $0).rounded(.down) }
                let gate = Array(values[0..<128]), up = Array(values[128..<256]), back = Array(values[256...])
                // One of the parts as the file has it, the others to be rounded.
                try weights.append(
                    gateUp: [
                        hostTensor(gate.map(bf16Bits), [width, hidden], .bf16),
                        hostTensor(up, [width, hidden], .f32),
                    ], down: hostTensor(back, [hidden, width], .f32))
                both += (gate + up).map(bf16Bits)
                down += back.map(bf16Bits)
            }
            try device.wait()
            let own = try #require(weights as? CUDAExperts)
            #expect(own.count == 3 && own.width == width && own.hidden == hidden)
            #expect(try device.bytes(own.gateUp) == bytes(both))
            #expect(try device.bytes(own.down) == bytes(down))
        }

        @Test func `weights in f32 are refused`() throws {
            let device = try StandIn.device()
            #expect(throws: DeviceError.unsupportedConversion(from: .bf16, to: .f32)) {
                try device.makeExperts(count: 2, width: 8, hidden: 8, elementType: .f32)
            }
        }

        @Test func `plans have room for every way tokens may choose`() {
            var random = SeededRandom(seed: 3)
            for _ in 0..<300 {
                let experts = Int.random(in: 1...512, using: &random)
                let top = Int.random(in: 1...min(16, experts), using: &random)
                let tokens = Int.random(in: 1...5000, using: &random)
                let plan = ExpertPlan(tokenCount: tokens, topCount: top, expertCount: experts)
                #expect(plan.pairCount == tokens * top && (1...experts).contains(plan.usualExperts))
                #expect(plan.kind != .few || plan.pairCount <= 4096)
                // The worst: one pair for each expert but one that has the rest, and evenly a pair over whole runs.
                for busy in 1...3 {
                    var counts = [Int](repeating: 0, count: experts)
                    for expert in 0..<min(experts, plan.pairCount) { counts[expert] = 1 }
                    var left = plan.pairCount - counts.reduce(0, +)
                    while left > 0 {
                        let part = min(left, busy == 3 ? plan.mostPlaces : max(1, left / busy))
                        counts[Int.random(in: 0..<experts, using: &random)] += part
                        left -= part
                    }
                    let runs = counts.reduce(0) { $0 + ($1 + plan.mostPlaces - 1) / plan.mostPlaces }
                    #expect(runs <= plan.mostRuns, "\(plan) \(counts)")
                }
                let parts = plan.parts(expertCount: experts, width: 40, hidden: 56)
                let pairs = plan.pairCount
                let extents = [
                    (parts.shares, 4 * pairs), (parts.places, 4 * pairs), (parts.tokens, 4 * pairs),
                    (parts.chosen, 2 * pairs), (parts.counts, 4 * experts), (parts.runCount, 4),
                    (parts.runs, 16 * plan.mostRuns), (parts.half, 80 * pairs), (parts.out, 224 * pairs),
                ].sorted { $0.0 < $1.0 }
                for (one, next) in zip(extents, extents.dropFirst()) { #expect(one.0 + one.1 <= next.0) }
                #expect(extents.allSatisfy { $0.0.isMultiple(of: 16) && $0.0 + $0.1 <= parts.byteCount })
            }
        }

        @Test func `one token reads the weights of its experts`() {
            let plan = ExpertPlan(tokenCount: 1, topCount: 8, expertCount: 128)
            #expect(plan.kind == .few && plan.usualExperts == 8 && plan.mostRuns == 8)
            let more = ExpertPlan(tokenCount: 64, topCount: 8, expertCount: 128)
            #expect(more.kind == .few && more.usualExperts == 126)
            let kinds = [255, 256, 1535, 1536].map {
                ExpertPlan(tokenCount: $0, topCount: 8, expertCount: 128).kind
            }
            #expect(kinds == [.few, .tiles64, .tiles64, .tiles128])
        }

        @Test(arguments: [(1, 256), (3, 256), (9, 1024), (300, 0), (4000, 0)])
        func `a mixture is routed, multiplied twice and added`(tokens: Int, routeThreads: Int) throws {
            let device = try StandIn.device(), (experts, width, hidden, top) = (32, 24, 72, 4)
            let weights = try weights(device, count: experts, width: width, hidden: hidden)
            let own = try #require(weights as? CUDAExperts)
            let mixture = ExpertMixture(weights: weights, topCount: top, normalizes: true)
            let x = try device.makeTensor([tokens, hidden], .bf16)
            let logits = try device.makeTensor([tokens, experts], .f32)
            let stream = try device.makeTensor([tokens, hidden], .f32)
            let room = device.operators.mixScratchCount(mixture, tokenCount: tokens)
            let scratch = try device.makeTensor([room], .f32)
            let launches = try device.launches {
                device.operators.mixExperts(
                    x, logits: logits, mixture: mixture, scratch: scratch, addingTo: stream)
            }
            let plan = ExpertPlan(tokenCount: tokens, topCount: top, expertCount: experts)
            let parts = plan.parts(expertCount: experts, width: width, hidden: hidden)
            func at(_ offset: Int) -> UInt64 { UInt64(scratch.address) + UInt64(offset) }
            let kind = plan.kind == .few ? "few" : plan.kind == .tiles64 ? "64" : "128"
            let routing = plan.kind == .few ? ["route_few"] : ["choose_experts", "place_experts"]
            #expect(
                launches.map(\.name) == routing
                    + ["experts_\(kind)_gated", "experts_\(kind)_down", "add_experts"])
            #expect(launches.allSatisfy { $0.overlaps })
            if plan.kind == .few {
                #expect(launches[0].grid == [1, 1, 1] && launches[0].block == routeThreads)
                #expect(launches[0].parameters.suffix(5) == [UInt64(tokens), 32, 4, 1, 32])
            } else {
                #expect(launches[0].grid == [(tokens + 7) / 8, 1, 1] && launches[1].grid == [32, 1, 1])
                #expect(
                    launches[1].parameters.suffix(4) == [UInt64(tokens * 4), 32, 4, UInt64(plan.mostPlaces)])
            }
            let products = launches.suffix(3), gated = products[products.startIndex]
            let down = products[products.startIndex + 1], add = products[products.startIndex + 2]
            #expect(
                gated.parameters == [
                    UInt64(own.gateUp.address), UInt64(x.address), at(parts.tokens), at(parts.runs),
                    at(parts.runCount), at(parts.half), 24, 72,
                ])
            #expect(
                down.parameters == [
                    UInt64(own.down.address), at(parts.half), at(parts.tokens), at(parts.runs),
                    at(parts.runCount), at(parts.out), 72, 24,
                ])
            if plan.kind == .few {
                // A warp for each tile of each run there may be, as far as they run at once.
                #expect(gated.grid == [min((plan.mostRuns * 3 + 3) / 4, 396), 1, 1])
                #expect(down.grid == [min((plan.mostRuns * 5 + 3) / 4, 396), 1, 1])
            } else {
                #expect(gated.grid == [1, plan.mostRuns, 1] && down.grid == [1, plan.mostRuns, 1])
            }
            #expect(gated.block == (kind == "128" ? 256 : 128) && gated.block == down.block)
            #expect(gated.shared == down.shared && gated.shared <= 101_376 - 1024)
            #expect(add.grid == [1, tokens, 1])
            #expect(
                add.parameters == [
                    at(parts.out), at(parts.places), at(parts.shares), UInt64(stream.address), UInt64(tokens),
                    72, 4,
                ])
        }

        @Test func `no tokens need nothing`() throws {
            let device = try StandIn.device()
            let mixture = ExpertMixture(
                weights: try weights(device, count: 4, width: 8, hidden: 16), topCount: 2, normalizes: false)
            #expect(device.operators.mixScratchCount(mixture, tokenCount: 0) == 0)
            let launches = try device.launches {
                device.operators.mixExperts(
                    try device.makeTensor([0, 16], .bf16), logits: try device.makeTensor([0, 4], .f32),
                    mixture: mixture, scratch: try device.makeTensor([0], .f32),
                    addingTo: try device.makeTensor([0, 16], .f32))
            }
            #expect(launches.isEmpty)
        }
    }
}
