import Checkpoints

/// A rotary embedding as configured, and how far it reaches.
struct ConfiguredRotary {
    let shape: RotaryShape
    /// The longest sequence it covers.
    let maxPositions: Int

    /// Reads `rope_parameters` (version 5), or `rope_scaling` and `rope_theta` (version 4), of a text tower with
    /// heads of `headDim` values, of which all turn unless `mayTurnPartially`.
    init(_ text: ConfigSection, headDim: Int, mayTurnPartially: Bool = false) throws(CheckpointError) {
        let configured = try text.int("max_position_embeddings", atMost: 1 << 24)
        let key = text.value("rope_parameters") == nil ? "rope_scaling" : "rope_parameters"
        let parameters = try text.section(key)
        let bases = parameters?.value("rope_theta") == nil ? text : parameters ?? text
        let base = try bases.double("rope_theta", atLeast: 2, atMost: 1e12, or: 10_000)
        let fraction = try Self.fraction([parameters, text], headDim: headDim, mayBePart: mayTurnPartially)
        var shape = RotaryShape(base: base, fraction: fraction)
        guard let parameters else {
            self.shape = shape
            maxPositions = configured
            return
        }
        let kind = try Self.kind(parameters)
        shape.sections = try Self.sections(parameters, pairCount: shape.pairCount(headDim: headDim))
        shape.isInterleaved = try parameters.bool("mrope_interleaved", or: false)
        // The tower's own setting counts before that of its scaling.
        let lengths = text.value("original_max_position_embeddings") == nil ? parameters : text
        let trained = try lengths.int(
            "original_max_position_embeddings", atMost: 1 << 24, or: kind == .longrope ? nil : configured)
        let implied: Double? =
            switch kind {
            case .default: 1
            case .yarn: Double(configured) / Double(trained)
            case .longrope: max(1, Double(configured) / Double(trained))
            case .linear, .dynamic, .llama3: nil
            }
        let factor = try parameters.double("factor", atLeast: 1, atMost: 1024, or: implied)
        // Safe: at most 2²⁴ · 1024.
        switch kind {
        case .default: maxPositions = configured
        case .linear:
            shape.scaling = .linear(factor: factor)
            maxPositions = min(Int(Double(configured) * factor), 1 << 24)
        case .dynamic:
            shape.scaling = .dynamic(factor: factor, trained: configured, length: nil)
            maxPositions = min(Int(Double(configured) * factor), 1 << 24)
        case .llama3:
            shape.scaling = try Self.llama3(parameters, factor: factor, trained: trained)
            maxPositions = configured
        case .yarn:
            shape.scaling = try Self.yarn(parameters, factor: factor, trained: trained)
            maxPositions = min(max(configured, Int(Double(trained) * factor)), 1 << 24)
        case .longrope:
            shape.scaling = try Self.longRope(
                parameters, pairCount: shape.pairCount(headDim: headDim), factor: factor, trained: trained)
            maxPositions = configured
        }
        self.shape = shape
    }

    /// The pairs that turn by time, height and width (`mrope_section`); nil where there is nothing of it.
    private static func sections(
        _ parameters: ConfigSection, pairCount: Int,
    ) throws(CheckpointError) -> [Int]? {
        let key = "mrope_section"
        guard let sections = try parameters.ints(key) else { return nil }
        guard sections.count == 3, sections.allSatisfy({ (0...pairCount).contains($0) }),
            sections.reduce(0, +) == pairCount
        else {
            throw parameters.refusal(
                key, "is \(sections), but must be three numbers that sum to \(pairCount)")
        }
        return sections
    }

    /// The part of a head that turns, by the first of `sections` that says.
    private static func fraction(
        _ sections: [ConfigSection?], headDim: Int, mayBePart: Bool,
    ) throws(CheckpointError) -> Double {
        let key = "partial_rotary_factor"
        let section = sections.compactMap(\.self).first { $0.value(key) != nil }
        guard let section else { return 1 }
        let fraction = try section.double(key, atLeast: 0, atMost: 1)
        guard fraction == 1 || mayBePart else {
            throw section.refusal(key, "is below 1, which is not supported")
        }
        let width = Int(Double(headDim) * fraction)
        guard width > 0, width.isMultiple(of: 2) else {
            throw section.refusal(
                key, "makes \(width) of \(headDim) values turn, but must be an even number above zero")
        }
        return fraction
    }
}
