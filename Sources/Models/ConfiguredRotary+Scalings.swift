import Checkpoints

/// The scalings of `rope_parameters`, each with the settings it has of its own.
extension ConfiguredRotary {
    /// The names of scalings.
    enum Kind: String, CaseIterable {
        case `default`
        case linear
        case dynamic
        case llama3
        case yarn
        case longrope
    }

    /// The scaling `parameters` names; the first files with LongRoPE called it su, or yarn.
    static func kind(_ parameters: ConfigSection) throws(CheckpointError) -> Kind {
        let key = parameters.value("rope_type") == nil ? "type" : "rope_type"
        var name = try parameters.string(key, or: Kind.default.rawValue)
        // Version 4's name for sections without scaling.
        if name == "mrope" { name = Kind.default.rawValue }
        let kind = name == "su" ? .longrope : Kind(rawValue: name)
        guard let kind else {
            let supported = Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw parameters.refusal(
                key, "is \"\(name)\", which is not supported; supported are \(supported)")
        }
        return kind == .yarn && parameters.value("short_factor") != nil ? .longrope : kind
    }

    static func llama3(
        _ parameters: ConfigSection, factor: Double, trained: Int,
    ) throws(CheckpointError) -> RotaryShape.Scaling {
        let low = try parameters.double("low_freq_factor", atLeast: 1e-3, atMost: 1e6)
        let high = try parameters.double("high_freq_factor", atLeast: 1e-3, atMost: 1e6)
        guard high > low else { throw parameters.refusal("high_freq_factor", "must exceed low_freq_factor") }
        return .llama3(factor: factor, low: low, high: high, trained: trained)
    }

    static func yarn(
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

    static func longRope(
        _ parameters: ConfigSection, pairCount: Int, factor: Double, trained: Int,
    ) throws(CheckpointError) -> RotaryShape.Scaling {
        func factors(_ key: String) throws(CheckpointError) -> [Float] {
            guard let factors = try parameters.doubles(key, count: pairCount) else {
                throw parameters.refusal(key, "is missing")
            }
            guard factors.allSatisfy({ (1e-6...1e6).contains($0) }) else {
                throw parameters.refusal(key, "must hold numbers from 1e-6 to 1e6")
            }
            return factors.map { Float($0) }
        }
        guard trained > 1 else {
            throw parameters.refusal("original_max_position_embeddings", "must exceed 1")
        }
        // √(1 + ln(factor) / ln(trained)), as in the paper: https://arxiv.org/abs/2402.13753
        let usual = (1 + Math.log(factor) / Math.log(Double(trained))).squareRoot()
        return .longRope(
            short: try factors("short_factor"), long: try factors("long_factor"), trained: trained,
            attention: try parameters.double("attention_factor", atLeast: 1e-3, atMost: 1e3, or: usual),
            length: nil)
    }
}
