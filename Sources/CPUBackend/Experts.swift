import Glibc
import Tensors

extension CPUOperators {
    // stream[t] += Σⱼ pⱼ · down(silu(gate(x[t])) · up(x[t])), j over the experts of the largest logits[t]
    func mixExperts(
        _ x: Tensor, logits: Tensor, mixture: ExpertMixture, scratch: Tensor, addingTo stream: Tensor,
    ) {
        let (tokenCount, hidden) = (x.shape.rowCount, x.shape.columnCount)
        guard let weights = mixture.weights as? CPUExperts else {
            preconditionFailure("weights of this device")
        }
        let expertCount = weights.count, width = weights.width
        precondition(logits.elementCount == tokenCount * expertCount, "logits is [T, experts]")
        precondition(stream.elementCount == tokenCount * hidden, "stream is [T, H]")
        precondition(
            scratch.elementCount >= mixScratchCount(mixture, tokenCount: tokenCount), "room for the scratch")
        // By expert the tokens that go there, with its share.
        var visits = [[(token: Int, share: Float)]](repeating: [], count: expertCount)
        for token in 0..<tokenCount {
            for (expert, share) in choices(logits, token, expertCount, mixture) {
                visits[expert].append((token, share))
            }
        }
        for (expert, visits) in visits.enumerated() where !visits.isEmpty {
            let count = visits.count
            var next = 0
            /// The next columns of scratch for the tokens of this expert.
            func take(_ columns: Int) -> Tensor {
                defer { next += count * columns }
                return scratch.reshaped([scratch.elementCount])[next..<(next + count * columns)]
                    .reshaped([count, columns])
            }
            let rows = take(hidden), both = take(2 * width), half = take(width), out = take(hidden)
            for (row, visit) in visits.enumerated() {
                // Safe: both rows lie within their tensors.
                unsafe rows.floats.advanced(by: row * hidden).update(
                    from: x.floats.advanced(by: visit.token * hidden), count: hidden)
            }
            linear(
                .rows(rows), weights.gateUp[expert], epilogue: .siluMultiply(scratch: both), out: half)
            linear(.rows(half), weights.down[expert], epilogue: .none, out: out)
            for (row, visit) in visits.enumerated() {
                // Safe: as above.
                let (from, to) = unsafe (
                    out.floats.advanced(by: row * hidden), stream.floats.advanced(by: visit.token * hidden)
                )
                for column in 0..<hidden { unsafe to[column] += visit.share * from[column] }
            }
        }
    }

    // [T, 2 · H + 3 · I]
    func mixScratchCount(_ mixture: ExpertMixture, tokenCount: Int) -> Int {
        tokenCount * (2 * mixture.weights.hidden + 3 * mixture.weights.width)
    }

    /// The experts of a token with their shares; of equal logits the first counts.
    private func choices(
        _ logits: Tensor, _ token: Int, _ count: Int, _ mixture: ExpertMixture,
    ) -> [(expert: Int, share: Float)] {
        // Safe: the row lies within the tensor.
        let row = (0..<count).map { unsafe logits.floats[token * count + $0] }
        let largest = row.max() ?? 0
        let powers = row.map { expf($0 - largest) }
        let order = row.indices.sorted { row[$0] > row[$1] || (row[$0] == row[$1] && $0 < $1) }
        let chosen = order.prefix(mixture.topCount)
        let total = mixture.normalizes ? chosen.reduce(0) { $0 + powers[$1] } : powers.reduce(0, +)
        return chosen.map { ($0, powers[$0] / total) }
    }
}

/// Weights of experts, each packed by itself.
struct CPUExperts: ExpertWeights {
    let count: Int
    let width: Int
    let hidden: Int
    /// For each expert [2 · I, H]: the gate, then up.
    private(set) var gateUp: [any LinearWeights] = []
    /// For each expert [H, I].
    private(set) var down: [any LinearWeights] = []
    private let format: WeightFormat
    private let device: CPUDevice

    init(count: Int, width: Int, hidden: Int, format: WeightFormat, device: CPUDevice) {
        self.count = count
        self.width = width
        self.hidden = hidden
        self.format = format
        self.device = device
    }

    mutating func append(gateUp parts: [Tensor], down matrix: Tensor) throws(DeviceError) {
        gateUp.append(
            try device.prepareLinear(weights: parts, bias: [], scale: nil, format: format))
        down.append(
            try device.prepareLinear(weights: [matrix], bias: [], scale: nil, format: format))
    }
}
