import Checkpoints
import JSON
import Tensors

/// A text tower as its part of config.json describes it.
enum TextConfig {
    /// Reads and checks the sizes of the text tower in `section`; `tied` holds where it says nothing of tied heads.
    ///
    /// The tower is of the kind that `model_type` says, or of `type`.
    static func read(
        _ section: ConfigSection, kind type: String? = nil, tied: Bool,
    ) throws(CheckpointError) -> TextShape {
        let kind = try kind(section, type)
        let section = kind.isGemma3 ? try Gemma3Text.filled(section) : section
        if !kind.isGemma3 {
            let activation = try section.string("hidden_act", or: "silu")
            guard activation == "silu" else {
                throw section.refusal("hidden_act", "is \"\(activation)\", but only silu is supported")
            }
        }
        let hiddenSize = try section.int("hidden_size", atMost: 1 << 18)
        let heads = try heads(section, kind, hiddenSize: hiddenSize)
        let rotary = try ConfiguredRotary(
            section, headDim: heads.headDim, mayTurnPartially: kind.mayTurnPartially)
        let layerCount = try section.int("num_hidden_layers", atMost: 1 << 12)
        let epsilon = Float(try section.double("rms_norm_eps", atLeast: 0, atMost: 1, or: kind.epsilon))
        var shape = TextShape(
            layerCount: layerCount,
            hiddenSize: hiddenSize,
            intermediateSize: try section.int("intermediate_size", atMost: 1 << 20),
            heads: heads,
            vocabularyCount: try section.int("vocab_size", atMost: 1 << 24),
            maxPositions: rotary.maxPositions,
            epsilon: epsilon,
            rotary: rotary.shape,
            biases: try biases(section, kind),
            queryKeyEpsilon: kind.hasHeadNorms ? epsilon : nil,
            tiesEmbeddings: try section.bool("tie_word_embeddings", or: tied),
            initializerRange: Float(
                try section.double("initializer_range", atLeast: 0, atMost: 10, or: 0.02)),
            names: kind.names)
        if kind.isGemma3 {
            try Gemma3Text.complete(&shape, section)
        } else if let window = try window(section, kind), window < shape.maxPositions {
            shape.sliding = SlidingShape(window: window, layers: Set(0..<layerCount))
        }
        if kind.hasExperts { shape.experts = try experts(section, layerCount: layerCount) }
        return shape
    }

    private static func experts(
        _ section: ConfigSection, layerCount: Int,
    ) throws(CheckpointError) -> ExpertShape {
        // Version 5 writes the number under the other name.
        let countKey = section.value("num_experts") == nil ? "num_local_experts" : "num_experts"
        let count = try section.int(countKey, atMost: 1 << 12)
        let step = try section.int("decoder_sparse_step", atMost: 1 << 12, or: 1)
        let dense = try section.ints("mlp_only_layers") ?? []
        return ExpertShape(
            count: count, topCount: try section.int("num_experts_per_tok", atMost: count),
            intermediateSize: try section.int("moe_intermediate_size", atMost: 1 << 20),
            normalizes: try section.bool("norm_topk_prob", or: false),
            layers: Set((0..<layerCount).filter { !dense.contains($0) && ($0 + 1).isMultiple(of: step) }))
    }

    private static func kind(_ section: ConfigSection, _ type: String?) throws(CheckpointError) -> TextKind {
        let type = if let type { type } else { try section.string("model_type") }
        guard let kind = TextKind.all.first(where: { $0.modelType == type }) else {
            let supported = TextKind.all.map(\.modelType).joined(separator: ", ")
            throw section.refusal(
                "model_type", "is \"\(type)\", which is not supported; supported are \(supported)")
        }
        return kind
    }

    private static func heads(
        _ section: ConfigSection, _ kind: TextKind, hiddenSize: Int,
    ) throws(CheckpointError) -> HeadLayout {
        let heads = try section.int("num_attention_heads", atMost: 1 << 12)
        let keyValueHeads = try section.int("num_key_value_heads", atMost: 1 << 12, or: heads)
        guard heads.isMultiple(of: keyValueHeads) else {
            throw section.refusal(
                "num_key_value_heads", "is \(keyValueHeads), but must divide num_attention_heads, \(heads)")
        }
        guard section.value("head_dim") != nil || kind.headDim != nil || hiddenSize.isMultiple(of: heads)
        else {
            throw section.refusal(
                "num_attention_heads", "is \(heads), but must divide hidden_size, \(hiddenSize)")
        }
        let headDim = try section.int("head_dim", atMost: 1 << 12, or: kind.headDim ?? hiddenSize / heads)
        guard headDim.isMultiple(of: 2), headDim > 0 else {
            throw section.refusal("head_dim", "is \(headDim), but must be even for the rotary embedding")
        }
        return HeadLayout(heads: heads, keyValueHeads: keyValueHeads, headDim: headDim)
    }

    private static func biases(
        _ section: ConfigSection, _ kind: TextKind,
    ) throws(CheckpointError) -> TextShape.Biases {
        var biases: TextShape.Biases
        switch kind.biases {
        case .fixed(let always): biases = always
        case .setting(let key, let fallback):
            biases = try section.bool(key, or: fallback) ? [.qkv, .output] : []
        }
        if try section.bool("mlp_bias", or: false) { biases.insert(.mlp) }
        return biases
    }

    /// How many tokens attention sees back in all layers, its own included; nil for all.
    private static func window(
        _ section: ConfigSection, _ kind: TextKind,
    ) throws(CheckpointError) -> Int? {
        if try section.bool("use_sliding_window", or: false), section.value("sliding_window") != nil {
            throw section.refusal("use_sliding_window", "is true, but sliding windows are not supported")
        }
        if section.value("layer_types")?.array?.contains(where: { $0.string != "full_attention" }) == true {
            throw section.refusal(
                "layer_types", "has other layers than full_attention, which are not supported")
        }
        guard kind.hasWindow, section.value("sliding_window") != nil else { return nil }
        return try section.int("sliding_window", atMost: Int(Int32.max))
    }
}
