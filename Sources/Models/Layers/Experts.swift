import Checkpoints
import Tensors

/// A mixture of experts in place of an MLP: a router chooses some for each token.
///
/// https://arxiv.org/abs/2401.04088, section 2.1; over ranks each has its columns of every expert.
struct Experts: Sendable {
    /// [experts, hidden].
    private let router: Linear
    private let mixture: ExpertMixture
    private let collective: (any Collective)?
    private let operators: any Operators

    /// Takes `gate.weight`, and the experts' matrices one by one or, as some files have them, all together.
    init(_ loader: Loader, _ experts: ExpertShape, hidden: Int) throws(ModelError) {
        // Whose choice small errors would change.
        router = try Linear(loader.plain, "gate", outputs: experts.count, inputs: hidden, hasBias: false)
        let below = loader["experts"], width = experts.intermediateSize
        // Filled up with zeros, which change nothing.
        let filled = loader.filledPart(of: width, step: 8), part = filled.range
        let stacks = try Stacks(below, experts, hidden: hidden)
        var weights = try ModelError.wrapping { () throws(DeviceError) in
            try loader.device.makeExperts(
                count: experts.count, width: filled.width, hidden: hidden, format: loader.format)
        }
        for expert in 0..<experts.count {
            // [I, hidden] twice, and [hidden, I]
            let gate: Tensor, up: Tensor, back: Tensor
            if let stacks {
                let both = try stacks.matrix(expert, of: stacks.gateUp)
                (gate, up) = (both[part], both[part.shifted(by: width)])
                back = try stacks.matrix(expert, of: stacks.down)
            } else {
                let own = below[String(expert)]
                gate = try own.take("gate_proj.weight", shape: [width, hidden])[part]
                up = try own.take("up_proj.weight", shape: [width, hidden])[part]
                back = try own.take("down_proj.weight", shape: [hidden, width])
            }
            var gateUp = [gate, up]
            if filled.missing > 0 {
                let zeros = try loader.zeros([filled.missing, hidden], as: gate)
                gateUp = [gate, zeros, up, zeros]
            }
            let columns = try ModelError.wrapping { () throws(CheckpointError) in
                try back.columns(part).widened(to: filled.width)
            }
            try ModelError.wrapping { () throws(DeviceError) in
                try weights.append(gateUp: gateUp, down: columns)
            }
        }
        mixture = ExpertMixture(
            weights: weights, topCount: experts.topCount, normalizes: experts.normalizes)
        collective = loader.collective
        operators = loader.device.operators
    }

    /// The matrices of all experts together.
    private struct Stacks {
        let gateUp: Tensor
        let down: Tensor
        /// Whether each matrix has its inputs in rows, as the published files do; transformers 5 writes outputs in rows.
        let areOnTheirSide: Bool

        /// Nil for a checkpoint that has the experts one by one.
        init?(_ loader: Loader, _ experts: ExpertShape, hidden: Int) throws(ModelError) {
            guard loader.weights.has("gate_up_proj") else { return nil }
            let (count, width) = (experts.count, experts.intermediateSize)
            if let gateUp = try? loader.take("gate_up_proj", shape: [count, 2 * width, hidden]),
                let down = try? loader.take("down_proj", shape: [count, hidden, width])
            {
                (self.gateUp, self.down, areOnTheirSide) = (gateUp, down, false)
            } else {
                gateUp = try loader.take("gate_up_proj", shape: [count, hidden, 2 * width])
                down = try loader.take("down_proj", shape: [count, width, hidden])
                areOnTheirSide = true
            }
        }

        /// A host matrix [outputs, inputs] of one expert.
        func matrix(_ expert: Int, of stack: Tensor) throws(ModelError) -> Tensor {
            let (rows, columns) = (stack.shape[1], stack.shape[2])
            let matrix = stack[expert..<(expert + 1)].reshaped([rows, columns])
            guard areOnTheirSide else { return matrix }
            return try ModelError.wrapping { () throws(CheckpointError) in try matrix.transposed() }
        }
    }

    /// Adds what the experts make of `x` [T, hidden] to `residual` f32 [T, hidden].
    func callAsFunction(
        _ x: LinearInput, addingTo residual: Tensor, workspace: Workspace,
    ) throws(DeviceError) {
        let rows = x.rows(by: operators), count = x.rowCount
        let logits = try workspace.take([count, router.outputCount], .f32)  // [T, experts]
        router(.rows(rows), into: logits)
        let scratch = try workspace.take(
            [operators.mixScratchCount(mixture, tokenCount: count)], .f32)
        if let collective, collective.rank > 0 { operators.clear(residual) }
        operators.mixExperts(rows, logits: logits, mixture: mixture, scratch: scratch, addingTo: residual)
        collective?.sum(residual)
    }
}

extension LinearInput {
    /// The operand itself, [T, K].
    fileprivate func rows(by operators: any Operators) -> Tensor {
        switch self {
        case .rows(let rows): return rows
        case .rmsNorm(let stream, let weight, let epsilon, let scratch):
            operators.rmsNorm(stream, weight: weight, epsilon: epsilon, out: scratch)
            return scratch
        }
    }
}
