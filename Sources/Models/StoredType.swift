import Checkpoints
import JSON
import Tensors

/// How a checkpoint's configuration names the type of its weights.
enum StoredType {
    /// The type weights are stored in, under the keys of either version; bf16 when not said.
    static func read(_ config: ConfigSection, text: ConfigSection) throws(CheckpointError) -> ElementType {
        for section in [config, text] {
            guard let value = section.value("dtype", "torch_dtype") else { continue }
            switch value.string {
            case "bfloat16": return .bf16
            case "float16": return .f16
            case "float32": return .f32
            default: throw section.refusal("dtype", "is \(value.summary), not bfloat16, float16 or float32")
            }
        }
        return .bf16
    }
}
