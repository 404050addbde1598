package import Checkpoints
import Images
import Tensors

/// Text towers published by themselves: each of the kinds in `TextKind`, without a vision tower.
package struct TextOnly: ModelFamily {
    package let architectures: [String]
    package let modelTypes: [String]

    /// One an architecture, so that no name is taken for another's.
    static let all = [
        TextOnly("Gemma3ForCausalLM", "gemma3_text"),
        TextOnly("InternLM2ForCausalLM", "internlm2"), TextOnly("LlamaForCausalLM", "llama"),
        TextOnly("MistralForCausalLM", "mistral"), TextOnly("Phi3ForCausalLM", "phi3"),
        TextOnly("Qwen2ForCausalLM", "qwen2"), TextOnly("Qwen3ForCausalLM", "qwen3"),
        TextOnly("Qwen3MoeForCausalLM", "qwen3_moe"),
    ]

    private init(_ architecture: String, _ modelType: String) {
        architectures = [architecture]
        modelTypes = [modelType]
    }

    package func describe(_ files: ModelFiles) throws(CheckpointError) -> ModelDescription {
        let config = files.config
        let shape = try TextConfig.read(config, kind: modelTypes[0], tied: false)
        return ModelDescription(
            modelType: modelTypes[0], textModelType: modelTypes[0], text: shape, vision: nil,
            storedType: try StoredType.read(config, text: config),
            generation: try GenerationDefaults(files, text: config, vocabularyCount: shape.vocabularyCount))
    }

    package func load(
        _ description: ModelDescription, _ loader: Loader,
    ) throws(ModelError) -> any VisionLanguageModel {
        TextModel(
            description: description,
            decoder: try DecoderStack(
                loader.forText["model"], head: loader.forText, description.text))
    }

    package func mayRemain(_ tensor: String, _ description: ModelDescription) -> Bool {
        tensor.hasSuffix("rotary_emb.inv_freq")
            || tensor == "\(description.text.names.head).weight" && description.text.tiesEmbeddings
    }
}

/// A text tower alone.
struct TextModel: VisionLanguageModel {
    let description: ModelDescription
    let decoder: DecoderStack

    func encode(tiles: Tensor, grids: [TokenGrid], workspace: Workspace) throws(DeviceError) -> Tensor {
        throw .failed("a text tower takes no pictures")
    }

    var cacheHeads: HeadLayout { decoder.cacheHeads }

    func forward(_ batch: Batch, workspace: Workspace) throws(DeviceError) -> Tensor {
        try decoder.forward(batch, workspace: workspace)
    }
}
