import Checkpoints
import JSON

/// What Tarsier2's configurations say: the settings of Qwen2-VL's two towers, each in a part of its own.
///
/// https://github.com/bytedance/tarsier/tree/tarsier2
enum TarsierConfig {
    /// The kinds of the parts in the versions of transformers; a part without one is of the published code's usual kind.
    private static let kinds = ["qwen2_vl", "qwen2_vl_text", "qwen2_vl_vision"]

    /// The configuration with transformers' values for what the parts leave out, as files are written with differences only.
    static func filled(_ config: ConfigSection) throws(CheckpointError) -> ConfigSection {
        let text = try config.requiredSection("text_config")
        // Where the first part is that of a whole Qwen2-VL it has the second in it.
        let own = try config.section("vision_config"), inner = try text.section("vision_config")
        guard let vision = own ?? inner else { throw config.refusal("vision_config", "is missing") }
        for (part, usual) in [(text, "llama"), (vision, "clip_vision_model")] {
            let found = try part.string("model_type", or: usual)
            guard kinds.contains(found) else {
                throw part.refusal(
                    "model_type",
                    "is \"\(found)\", but must be \(kinds[0]): other models than Tarsier2 are not supported")
            }
        }
        var settings = config.settings
        settings.set(
            "text_config",
            .object(
                text.filled(with: [
                    ("vocab_size", .int(152_064)), ("hidden_size", .int(8192)),
                    ("intermediate_size", .int(29568)), ("num_hidden_layers", .int(80)),
                    ("num_attention_heads", .int(64)), ("num_key_value_heads", .int(8)),
                    ("max_position_embeddings", .int(32768)), ("rms_norm_eps", .double(1e-5)),
                    ("rope_theta", .double(1_000_000)),
                ]).settings))
        settings.set(
            "vision_config",
            .object(
                vision.filled(with: [
                    ("depth", .int(32)), ("embed_dim", .int(1280)), ("hidden_size", .int(3584)),
                    ("num_heads", .int(16)),
                ]).settings))
        return ConfigSection(file: config.file, path: config.path, settings: settings)
    }
}
