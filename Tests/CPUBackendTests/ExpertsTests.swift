import CPUBackend
import Tensors
import Testing

@Suite struct ExpertsTests {
    private static let hidden = 20, width = 12, count = 5

    @Test(arguments: levels, [false, true])
    func `a mixture is the weighted sum of the likeliest experts`(level: CPULevel, normalizes: Bool) throws {
        let (hidden, width, count) = (Self.hidden, Self.width, Self.count)
        let device = CPUDevice(threadCount: 2, level: level)
        var numbers = Numbers(77)
        for (tokens, topCount) in [(1, 2), (9, 2), (4, 5), (6, 1)] {
            let x = numbers.floats(tokens * hidden), stream = numbers.floats(tokens * hidden)
            var logits = numbers.floats(tokens * count, size: 3)
            // The first of equal ones counts.
            logits.replaceSubrange(0..<count, with: [1, 2, 2, 0, 2])
            let gateUp = (0..<count).map { _ in numbers.floats(2 * width * hidden) }
            let down = (0..<count).map { _ in numbers.floats(hidden * width) }
            var weights = try device.makeExperts(
                count: count, width: width, hidden: hidden, elementType: .f32)
            for (both, back) in zip(gateUp, down) {
                try weights.append(
                    gateUp: [try device.tensor(both, [2 * width, hidden])],
                    down: try device.tensor(back, [hidden, width]))
            }
            let mixture = ExpertMixture(weights: weights, topCount: topCount, normalizes: normalizes)
            let out = try device.tensor(stream, [tokens, hidden])
            device.operators.mixExperts(
                try device.tensor(x, [tokens, hidden]), logits: try device.tensor(logits, [tokens, count]),
                mixture: mixture,
                scratch: try device.makeTensor(
                    [device.operators.mixScratchCount(mixture, tokenCount: tokens)], .f32), addingTo: out)
            var expected: [Double] = []
            for token in 0..<tokens {
                let row = logits[(token * count)..<((token + 1) * count)].map(Double.init)
                let chosen = row.indices.sorted { row[$0] > row[$1] || (row[$0] == row[$1] && $0 < $1) }
                    .prefix(topCount)
                let powers = row.map { exponential($0) }
                let total = normalizes ? chosen.reduce(0) { $0 + powers[$1] } : powers.reduce(0, +)
                var sum = stream[(token * hidden)..<((token + 1) * hidden)].map(Double.init)
                for expert in chosen {
                    let inner = (0..<(2 * width)).map { row in
                        (0..<hidden).reduce(0.0) {
                            $0 + Double(x[token * hidden + $1]) * Double(gateUp[expert][row * hidden + $1])
                        }
                    }
                    let half = (0..<width).map {
                        inner[$0] / (1 + exponential(-inner[$0])) * inner[width + $0]
                    }
                    for column in 0..<hidden {
                        let value = (0..<width).reduce(0.0) {
                            $0 + half[$1] * Double(down[expert][column * width + $1])
                        }
                        sum[column] += powers[expert] / total * value
                    }
                }
                expected += sum
            }
            expectClose(device.readFloats(out), expected, tolerance: 1e-5, "\(tokens) tokens, \(topCount)")
        }
    }
}
