/// What a `model_type` of text towers fixes; the configuration says the rest.
struct TextKind {
    /// Where the biases of attention come from.
    enum Biases {
        /// They are always these.
        case fixed(TextShape.Biases)
        /// The truth value at `key` gives all four products one, or none; `fallback` when absent.
        case setting(key: String, fallback: Bool)
    }

    let modelType: String
    var names: DecoderNames = .llama
    var biases: Biases = .fixed([])
    /// Whether queries and keys are normed head by head.
    var hasHeadNorms = false
    /// Whether `sliding_window` alone narrows attention, in all layers; others want `use_sliding_window` beside it.
    var hasWindow = false
    /// Whether it is Gemma 3's, which has settings of its own.
    var isGemma3 = false
    /// Whether `partial_rotary_factor` may be below 1.
    var mayTurnPartially = false
    /// Whether some layers have experts in place of the MLP.
    var hasExperts = false
    /// Values of a head where `head_dim` is absent; nil for hidden_size / num_attention_heads.
    var headDim: Int?
    /// ε of the norms where `rms_norm_eps` is absent.
    var epsilon = 1e-6

    /// One line a type: all are settings of one decoder stack.
    static let all = [
        TextKind(
            modelType: "gemma3_text", names: .gemma3,
            biases: .setting(key: "attention_bias", fallback: false),
            hasHeadNorms: true, isGemma3: true),
        TextKind(
            modelType: "internlm2", names: .internLM2, biases: .setting(key: "bias", fallback: true)),
        TextKind(modelType: "llama", biases: .setting(key: "attention_bias", fallback: false)),
        TextKind(modelType: "mistral", hasWindow: true),
        TextKind(modelType: "phi3", names: .phi3, hasWindow: true, mayTurnPartially: true, epsilon: 1e-5),
        TextKind(modelType: "qwen2", biases: .fixed([.qkv])),
        TextKind(
            modelType: "qwen3", biases: .setting(key: "attention_bias", fallback: false), hasHeadNorms: true,
            headDim: 128),
        TextKind(
            modelType: "qwen3_moe", biases: .setting(key: "attention_bias", fallback: false),
            hasHeadNorms: true, hasExperts: true),
    ]
}
