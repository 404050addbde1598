import Checkpoints
import JSON
import Tensors

/// A text tower as its part of config.json describes it.
enum TextConfig {
    /// The `model_type`s the one decoder stack can be set to.
    static let modelTypes = ["llama", "qwen2"]

    /// Reads and checks the sizes of the text tower in `section`; `tied` holds where it says nothing of tied heads.
    static func read(_ section: ConfigSection, tied: Bool) throws(CheckpointError) -> TextShape {
        let type = try section.string("model_type")
        guard modelTypes.contains(type) else {
            throw section.refusal(
                "model_type",
                "is \"\(type)\", which is not supported; supported are "
                    + modelTypes.joined(separator: ", "))
        }
        let activation = try section.string("hidden_act", or: "silu")
        guard activation == "silu" else {
            throw section.refusal("hidden_act", "is \"\(activation)\", but only silu is supported")
        }
        try refuseSlidingWindow(section)
        let rotary = try ConfiguredRotary(section)
        let hiddenSize = try section.int("hidden_size", atMost: 1 << 18)
        let hasBias = try section.bool("attention_bias", or: false)
        var biases: TextShape.Biases = type == "qwen2" ? [.qkv] : hasBias ? [.qkv, .output] : []
        if try section.bool("mlp_bias", or: false) { biases.insert(.mlp) }
        return TextShape(
            layerCount: try section.int("num_hidden_layers", atMost: 1 << 12),
            hiddenSize: hiddenSize,
            intermediateSize: try section.int("intermediate_size", atMost: 1 << 20),
            heads: try heads(section, hiddenSize: hiddenSize),
            vocabularyCount: try section.int("vocab_size", atMost: 1 << 24),
            maxPositions: rotary.maxPositions,
            epsilon: Float(try section.double("rms_norm_eps", atLeast: 0, atMost: 1, or: 1e-6)),
            rotary: rotary.shape,
            biases: biases,
            tiesEmbeddings: try section.bool("tie_word_embeddings", or: tied),
            initializerRange: Float(try section.double("initializer_range", atLeast: 0, atMost: 10, or: 0.02))
        )
    }

    private static func heads(_ section: ConfigSection, hiddenSize: Int) throws(CheckpointError) -> HeadLayout
    {
        let heads = try section.int("num_attention_heads", atMost: 1 << 12)
        let keyValueHeads = try section.int("num_key_value_heads", atMost: 1 << 12, or: heads)
        guard heads.isMultiple(of: keyValueHeads) else {
            throw section.refusal(
                "num_key_value_heads", "is \(keyValueHeads), but must divide num_attention_heads, \(heads)")
        }
        guard section.value("head_dim") != nil || hiddenSize.isMultiple(of: heads) else {
            throw section.refusal(
                "num_attention_heads", "is \(heads), but must divide hidden_size, \(hiddenSize)")
        }
        let headDim = try section.int("head_dim", atMost: 1 << 12, or: hiddenSize / heads)
        guard headDim.isMultiple(of: 2), headDim > 0 else {
            throw section.refusal("head_dim", "is \(headDim), but must be even for the rotary embedding")
        }
        return HeadLayout(heads: heads, keyValueHeads: keyValueHeads, headDim: headDim)
    }

    private static func refuseSlidingWindow(_ section: ConfigSection) throws(CheckpointError) {
        if try section.bool("use_sliding_window", or: false), section.value("sliding_window") != nil {
            throw section.refusal("use_sliding_window", "is true, but sliding windows are not supported")
        }
        if section.value("layer_types")?.array?.contains(where: { $0.string != "full_attention" }) == true {
            throw section.refusal(
                "layer_types", "has other layers than full_attention, which are not supported")
        }
    }
}
