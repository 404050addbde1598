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
        router = try Linear(loader, "gate", outputs: experts.count, inputs: hidden, hasBias: false)
        let below = loader["experts"], width = experts.intermediateSize, part = loader.part(of: width)
        let isStacked = below.weights.has("gate_up_proj")
        let stacks: (gateUp: Tensor, down: Tensor)? =
            isStacked
            ? (
                try below.take("gate_up_proj", shape: [experts.count, hidden, 2 * width]),
                try below.take("down_proj", shape: [experts.count, width, hidden])
            ) : nil
        var gateUp: [any LinearWeights] = [], down: [any LinearWeights] = []
        for expert in 0..<experts.count {
            // [I, hidden] twice, and [hidden, I]
            let gate: Tensor, up: Tensor, back: Tensor
            if let stacks {
                let both = try Self.turned(stacks.gateUp[expert..<(expert + 1)], [hidden, 2 * width])
                (gate, up) = (both[part], both[part.shifted(by: width)])
                back = try Self.turned(stacks.down[expert..<(expert + 1)], [width, hidden])
            } else {
                let own = below[String(expert)]
                gate = try own.take("gate_proj.weight", shape: [width, hidden])[part]
                up = try own.take("up_proj.weight", shape: [width, hidden])[part]
                back = try own.take("down_proj.weight", shape: [hidden, width])
            }
            gateUp.append(try Linear(loader, matrices: [gate, up]).weights)
            let columns = try ModelError.wrapping { () throws(CheckpointError) in try back.columns(part) }
            down.append(try Linear(loader, matrices: [columns]).weights)
        }
        mixture = ExpertMixture(
            gateUp: gateUp, down: down, topCount: experts.topCount, normalizes: experts.normalizes)
        collective = loader.collective
        operators = loader.device.operators
    }

    /// A host matrix that the file has on its side.
    private static func turned(_ matrix: Tensor, _ shape: Shape) throws(ModelError) -> Tensor {
        try ModelError.wrapping { () throws(CheckpointError) in try matrix.reshaped(shape).transposed() }
    }

    /// Adds what the experts make of `x` [T, hidden] to `residual` f32 [T, hidden].
    func callAsFunction(
        _ x: LinearInput, addingTo residual: Tensor, workspace: Workspace,
    ) throws(DeviceError) {
        let rows = x.rows(by: operators), count = x.rowCount, hidden = rows.shape.columnCount
        let logits = try workspace.take([count, router.outputCount], .f32)  // [T, experts]
        router(.rows(rows), into: logits)
        // [T, 2 · hidden + 3 · I]
        let scratch = try workspace.take([count, 2 * hidden + 3 * mixture.down[0].inputCount], .f32)
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
