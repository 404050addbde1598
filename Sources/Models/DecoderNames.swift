/// What a checkpoint calls the weights of a text tower, and how it fuses them.
package struct DecoderNames: Sendable, Hashable {
    /// The matrices of queries, keys and values.
    enum QKV: Sendable, Hashable {
        /// Three of them.
        case separate(queries: String, keys: String, values: String)
        /// One: all queries, all keys, all values.
        case stacked(String)
        /// One: for each key head its queries, its key, its value.
        case grouped(String)
    }

    /// Below the tower, like the next two.
    let embedding: String
    var layers = "layers"
    var norm = "norm"
    /// Beside the tower.
    let head: String
    /// Below a layer, like the next three.
    let attentionNorm: String
    let attention: String
    let mlpNorm: String
    let mlp: String
    /// Below `attention`, like `output`.
    let qkv: QKV
    let output: String
    /// Below `mlp`, like `down`: two matrices, or one with the gate first.
    let gateUp: [String]
    let down: String
    /// Below a layer, like the next: norms of what attention and MLP add to the stream; nil for none.
    var attentionOutputNorm: String?
    var mlpOutputNorm: String?
}

extension DecoderNames {
    /// Llama's, which Mistral, Qwen2 and Qwen3 have too.
    package static let llama = DecoderNames(
        embedding: "embed_tokens", head: "lm_head", attentionNorm: "input_layernorm", attention: "self_attn",
        mlpNorm: "post_attention_layernorm", mlp: "mlp",
        qkv: .separate(queries: "q_proj", keys: "k_proj", values: "v_proj"), output: "o_proj",
        gateUp: ["gate_proj", "up_proj"], down: "down_proj")

    /// Phi-3's: Llama's with two fusions.
    package static let phi3 = DecoderNames(
        embedding: "embed_tokens", head: "lm_head", attentionNorm: "input_layernorm", attention: "self_attn",
        mlpNorm: "post_attention_layernorm", mlp: "mlp", qkv: .stacked("qkv_proj"), output: "o_proj",
        gateUp: ["gate_up_proj"], down: "down_proj")

    /// Gemma 3's: Llama's with two more norms, one of which has the name of another's.
    package static let gemma3 = DecoderNames(
        embedding: "embed_tokens", head: "lm_head", attentionNorm: "input_layernorm", attention: "self_attn",
        mlpNorm: "pre_feedforward_layernorm", mlp: "mlp",
        qkv: .separate(queries: "q_proj", keys: "k_proj", values: "v_proj"), output: "o_proj",
        gateUp: ["gate_proj", "up_proj"], down: "down_proj",
        attentionOutputNorm: "post_attention_layernorm", mlpOutputNorm: "post_feedforward_layernorm")

    /// InternLM2's.
    package static let internLM2 = DecoderNames(
        embedding: "tok_embeddings", head: "output", attentionNorm: "attention_norm", attention: "attention",
        mlpNorm: "ffn_norm", mlp: "feed_forward", qkv: .grouped("wqkv"), output: "wo", gateUp: ["w1", "w3"],
        down: "w2")

    /// Qwen's, the first of them, whose gate is the second matrix.
    package static let qwen = DecoderNames(
        embedding: "wte", layers: "h", norm: "ln_f", head: "lm_head", attentionNorm: "ln_1",
        attention: "attn",
        mlpNorm: "ln_2", mlp: "mlp", qkv: .stacked("c_attn"), output: "c_proj", gateUp: ["w2", "w1"],
        down: "c_proj")
}
