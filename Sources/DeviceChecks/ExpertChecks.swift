import Tensors

extension CheckedPair {
    /// The sizes of a mixture, and how tokens choose.
    private struct Mixture {
        enum Choice: String {
            case random, tied, crowded
        }

        let tokens: Int
        let experts: Int
        let top: Int
        let hidden: Int
        let width: Int
        var choice = Choice.random

        var detail: String { "\(tokens)×\(hidden), \(choice.rawValue) \(top) of \(experts)×\(width)" }
    }

    /// Few and many tokens an expert, experts with none, one with all, and every expert chosen.
    private static let mixtures = [
        Mixture(tokens: 1, experts: 5, top: 2, hidden: 40, width: 24),
        Mixture(tokens: 1, experts: 128, top: 8, hidden: 128, width: 32),
        Mixture(tokens: 3, experts: 8, top: 8, hidden: 48, width: 32, choice: .tied),
        Mixture(tokens: 8, experts: 3, top: 2, hidden: 2048, width: 96),
        Mixture(tokens: 1, experts: 512, top: 16, hidden: 16, width: 8),
        Mixture(tokens: 9, experts: 8, top: 4, hidden: 520, width: 136, choice: .crowded),
        Mixture(tokens: 64, experts: 32, top: 8, hidden: 136, width: 72),
        Mixture(tokens: 256, experts: 256, top: 16, hidden: 64, width: 40),
        Mixture(tokens: 257, experts: 300, top: 16, hidden: 64, width: 24),
        Mixture(tokens: 150, experts: 3, top: 1, hidden: 72, width: 40, choice: .tied),
        Mixture(tokens: 300, experts: 8, top: 2, hidden: 256, width: 128, choice: .crowded),
        Mixture(tokens: 777, experts: 8, top: 2, hidden: 136, width: 200),
        Mixture(tokens: 4096, experts: 16, top: 4, hidden: 64, width: 32),
        Mixture(tokens: 4096, experts: 24, top: 2, hidden: 16, width: 8, choice: .crowded),
    ]

    /// Compares mixtures, each with shares that sum to one and with others, and tokens alone with the same among others.
    func checkExperts() throws(DeviceError) {
        for mixture in Self.mixtures {
            let (tokens, hidden, width) = (mixture.tokens, mixture.hidden, mixture.width)
            var onReference = try reference.makeExperts(
                count: mixture.experts, width: width, hidden: hidden, elementType: .bf16)
            var onDevice = try device.makeExperts(
                count: mixture.experts, width: width, hidden: hidden, elementType: .bf16)
            for _ in 0..<mixture.experts {
                // The reference's memory is the host's.
                let both = try floats(numbers(2 * width * hidden, size: 0.1), [2 * width, hidden]).reference
                let down = try floats(numbers(hidden * width, size: 0.1), [hidden, width]).reference
                try onReference.append(gateUp: [both[0..<width], both[width..<(2 * width)]], down: down)
                try onDevice.append(gateUp: [both[0..<width], both[width..<(2 * width)]], down: down)
            }
            let x = try operand(numbers(tokens * hidden, size: 2), [tokens, hidden])
            let values = logits(mixture), before = numbers(tokens * hidden, size: 0.05)
            for normalizes in [false, true] {
                func run(
                    _ device: any Device, _ weights: any ExpertWeights, _ x: Tensor, _ values: [Float],
                    _ stream: Tensor,
                ) throws(DeviceError) {
                    let mixture = ExpertMixture(
                        weights: weights, topCount: mixture.top, normalizes: normalizes)
                    let count = x.shape.rowCount
                    let logits = try device.makeTensor([count, weights.count], .f32)
                    device.write(values, to: logits)
                    let room = device.operators.mixScratchCount(mixture, tokenCount: count)
                    let scratch = try device.makeTensor([room], .f32)
                    device.write([Float](repeating: .nan, count: room), to: scratch)
                    device.operators.mixExperts(
                        x, logits: logits, mixture: mixture, scratch: scratch, addingTo: stream)
                    try device.wait()
                }
                let detail = "\(mixture.detail)\(normalizes ? ", shares of one" : "")"
                let stream = try floats(before, [tokens, hidden])
                try run(reference, onReference, x.reference, values, stream.reference)
                try run(device, onDevice, x.device, values, stream.device)
                try compare("mixExperts", detail, stream, tolerance: Self.tolerance)

                let last = (tokens - 1)..<tokens
                let alone = try floats(Array(before.suffix(hidden)), [1, hidden])
                try run(
                    reference, onReference, x.reference[last], Array(values.suffix(mixture.experts)),
                    alone.reference)
                try run(
                    device, onDevice, x.device[last], Array(values.suffix(mixture.experts)), alone.device)
                try compare("mixExperts", "\(detail), the last alone", alone, tolerance: Self.tolerance)
            }
        }
    }

    private func logits(_ mixture: Mixture) -> [Float] {
        var values = numbers(mixture.tokens * mixture.experts, size: 2)
        switch mixture.choice {
        case .random: break
        // The first of equal ones counts.
        case .tied: values = values.map { $0.rounded() }
        // One has every token, and the last ones have none.
        case .crowded:
            for place in values.indices {
                let expert = place % mixture.experts
                if expert == mixture.experts / 2 { values[place] = 9 }
                if expert > mixture.experts - mixture.top / 2 { values[place] = -20 }
            }
        }
        return values
    }

    // As products.
    private static let tolerance = 4e-3
}
