import Checkpoints

/// A rotary embedding as configured, and how far it reaches.
struct ConfiguredRotary {
    let shape: RotaryShape
    /// The longest sequence it covers.
    let maxPositions: Int

    /// Reads `rope_parameters` (version 5), or `rope_scaling` and `rope_theta` (version 4), of a text tower.
    init(_ text: ConfigSection) throws(CheckpointError) {
        let configured = try text.int("max_position_embeddings", atMost: 1 << 24)
        let key = text.value("rope_parameters") == nil ? "rope_scaling" : "rope_parameters"
        let parameters = try text.section(key)
        let bases = parameters?.value("rope_theta") == nil ? text : parameters ?? text
        let base = try bases.double("rope_theta", atLeast: 2, atMost: 1e12, or: 10_000)
        for section in [text, parameters].compactMap(\.self) {
            guard try section.double("partial_rotary_factor", atLeast: 0, atMost: 1, or: 1) == 1 else {
                throw section.refusal("partial_rotary_factor", "is below 1, which is not supported")
            }
        }
        guard let parameters else {
            shape = RotaryShape(base: base)
            maxPositions = configured
            return
        }
        let kind = try Self.kind(parameters)
        let trained = try parameters.int("original_max_position_embeddings", atMost: 1 << 24, or: configured)
        let implied: Double? =
            switch kind {
            case .default: 1
            case .yarn: Double(configured) / Double(trained)
            case .linear, .dynamic, .llama3: nil
            }
        let factor = try parameters.double("factor", atLeast: 1, atMost: 1024, or: implied)
        // Safe: at most 2²⁴ · 1024.
        switch kind {
        case .default:
            shape = RotaryShape(base: base)
            maxPositions = configured
        case .linear:
            shape = RotaryShape(base: base, scaling: .linear(factor: factor))
            maxPositions = min(Int(Double(configured) * factor), 1 << 24)
        case .dynamic:
            shape = RotaryShape(
                base: base, scaling: .dynamic(factor: factor, trained: configured, length: nil))
            maxPositions = min(Int(Double(configured) * factor), 1 << 24)
        case .llama3:
            shape = RotaryShape(
                base: base, scaling: try Self.llama3(parameters, factor: factor, trained: trained))
            maxPositions = configured
        case .yarn:
            shape = RotaryShape(
                base: base, scaling: try Self.yarn(parameters, factor: factor, trained: trained))
            maxPositions = min(max(configured, Int(Double(trained) * factor)), 1 << 24)
        }
    }

    /// The names of scalings.
    private enum Kind: String, CaseIterable {
        case `default`
        case linear
        case dynamic
        case llama3
        case yarn
    }

    private static func kind(_ parameters: ConfigSection) throws(CheckpointError) -> Kind {
        let key = parameters.value("rope_type") == nil ? "type" : "rope_type"
        let name = try parameters.string(key, or: Kind.default.rawValue)
        guard let kind = Kind(rawValue: name) else {
            let supported = Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw parameters.refusal(
                key, "is \"\(name)\", which is not supported; supported are \(supported)")
        }
        return kind
    }

    private static func llama3(
        _ parameters: ConfigSection, factor: Double, trained: Int,
    ) throws(CheckpointError) -> RotaryShape.Scaling {
        let low = try parameters.double("low_freq_factor", atLeast: 1e-3, atMost: 1e6)
        let high = try parameters.double("high_freq_factor", atLeast: 1e-3, atMost: 1e6)
        guard high > low else { throw parameters.refusal("high_freq_factor", "must exceed low_freq_factor") }
        return .llama3(factor: factor, low: low, high: high, trained: trained)
    }

    private static func yarn(
        _ parameters: ConfigSection, factor: Double, trained: Int,
    ) throws(CheckpointError) -> RotaryShape.Scaling {
        // 0.1 · m · ln(factor) + 1, as in the paper.
        func scale(_ weight: Double) -> Double { factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1 }
        let numerator = try parameters.double("mscale", atLeast: 0, atMost: 100, or: 0)
        let denominator = try parameters.double("mscale_all_dim", atLeast: 0, atMost: 100, or: 0)
        let usual = numerator > 0 && denominator > 0 ? scale(numerator) / scale(denominator) : scale(1)
        let attention = try parameters.double("attention_factor", atLeast: 1e-3, atMost: 1e3, or: usual)
        let fast = try parameters.double("beta_fast", atLeast: 1e-3, atMost: 1e6, or: 32)
        let slow = try parameters.double("beta_slow", atLeast: 1e-3, atMost: 1e6, or: 1)
        return .yarn(
            factor: factor, trained: trained, fast: fast, slow: slow,
            truncates: try parameters.bool("truncate", or: true), attention: attention)
    }
}
