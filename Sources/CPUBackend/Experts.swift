import Glibc
import Tensors

extension CPUOperators {
    // stream[t] += Σⱼ pⱼ · down(silu(gate(x[t])) · up(x[t])), j over the experts of the largest logits[t]
    func mixExperts(
        _ x: Tensor, logits: Tensor, mixture: ExpertMixture, scratch: Tensor, addingTo stream: Tensor,
    ) {
        let (tokenCount, hidden) = (x.shape.rowCount, x.shape.columnCount)
        let expertCount = mixture.gateUp.count, width = mixture.down[0].inputCount
        precondition(logits.elementCount == tokenCount * expertCount, "logits is [T, experts]")
        precondition(stream.elementCount == tokenCount * hidden, "stream is [T, H]")
        precondition(
            scratch.elementCount >= tokenCount * (2 * hidden + 3 * width), "scratch is [T, 2 · H + 3 · I]")
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
                .rows(rows), mixture.gateUp[expert], epilogue: .siluMultiply(scratch: both), out: half)
            linear(.rows(half), mixture.down[expert], epilogue: .none, out: out)
            for (row, visit) in visits.enumerated() {
                // Safe: as above.
                let (from, to) = unsafe (
                    out.floats.advanced(by: row * hidden), stream.floats.advanced(by: visit.token * hidden)
                )
                for column in 0..<hidden { unsafe to[column] += visit.share * from[column] }
            }
        }
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
