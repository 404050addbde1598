import Checkpoints
import JSON
import Tensors

/// What Gemma 3's text tower has beyond others', with transformers' values for what published configurations leave out.
enum Gemma3Text {
    /// The settings as others have them: the rotary embedding is that of layers that see everything.
    static func filled(_ text: ConfigSection) throws(CheckpointError) -> ConfigSection {
        let activation = try text.string("hidden_activation", or: "gelu_pytorch_tanh")
        guard activation == "gelu_pytorch_tanh" else {
            throw text.refusal(
                "hidden_activation", "is \"\(activation)\", but only gelu_pytorch_tanh is supported")
        }
        for key in ["attn_logit_softcapping", "final_logit_softcapping"] where text.value(key) != nil {
            throw text.refusal(key, "is set, which is not supported")
        }
        guard try !text.bool("use_bidirectional_attention", or: false) else {
            throw text.refusal("use_bidirectional_attention", "is true, which is not supported")
        }
        let numbers: [(String, Int)] = [
            ("hidden_size", 2304), ("intermediate_size", 9216), ("num_hidden_layers", 26),
            ("num_attention_heads", 8), ("num_key_value_heads", 4), ("head_dim", 256),
            ("vocab_size", 262_208), ("max_position_embeddings", 131_072), ("rope_theta", 1_000_000),
        ]
        let filled = text.filled(
            with: numbers.map { ($0.0, .int($0.1)) } + [("tie_word_embeddings", .bool(true))])
        guard let rotary = try text.section("rope_parameters") else { return filled }
        return filled.replacing("rope_parameters", by: rotary.value("full_attention") ?? .null)
            .replacing("layer_rope_parameters", by: rotary.value("sliding_attention") ?? .null)
    }

    /// Completes the tower that `text`, which `filled` gave, describes.
    static func complete(_ shape: inout TextShape, _ text: ConfigSection) throws(CheckpointError) {
        // Both scaled and unscaled positions end there.
        shape.maxPositions = try text.int("max_position_embeddings", atMost: 1 << 24)
        shape.gate = .tanhGELU
        shape.normShift = 1
        shape.embeddingScale = Float(Double(shape.hiddenSize).squareRoot())
        let scalar = try text.double("query_pre_attn_scalar", atLeast: 1e-3, atMost: 1e6, or: 256)
        shape.attentionScale = Float(1 / scalar.squareRoot())
        let sliding = try slidingLayers(text, count: shape.layerCount)
        guard !sliding.isEmpty else { return }
        guard text.settings["sliding_window"]?.isNull != true else {
            throw text.refusal("sliding_window", "is null, but some layers have a window")
        }
        let base = try text.double("rope_local_base_freq", atLeast: 2, atMost: 1e12, or: 10_000)
        let local = text.replacing("rope_theta", by: .double(base)).replacing("rope_scaling", by: .null)
            .replacing("rope_parameters", by: text.value("layer_rope_parameters") ?? .null)
        shape.sliding = SlidingShape(
            window: try text.int("sliding_window", atMost: Int(Int32.max), or: 4096), layers: sliding,
            rotary: try ConfiguredRotary(local, headDim: shape.heads.headDim).shape)
    }

    /// The layers with a window: `layer_types` names them, or every so many is one without.
    private static func slidingLayers(
        _ text: ConfigSection, count: Int,
    ) throws(CheckpointError) -> Set<Int> {
        let key = "layer_types"
        guard let types = text.value(key) else {
            let pattern = try text.int("sliding_window_pattern", atMost: 1 << 12, or: 6)
            return Set((0..<count).filter { !($0 + 1).isMultiple(of: pattern) })
        }
        let names = types.array?.compactMap(\.string) ?? []
        guard names.count == count,
            names.allSatisfy({ ["sliding_attention", "full_attention"].contains($0) })
        else {
            throw text.refusal(
                key, "must be sliding_attention or full_attention for each of the \(count) layers")
        }
        return Set(names.indices.filter { names[$0] == "sliding_attention" })
    }
}

extension ConfigSection {
    /// The section with another value for `key`.
    fileprivate func replacing(_ key: String, by value: JSONValue) -> ConfigSection {
        var settings = settings
        settings.set(key, value)
        return ConfigSection(file: file, path: path, settings: settings)
    }
}
