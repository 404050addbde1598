package import Tensors

/// What a checkpoint's configuration files say, checked; no weights are needed for it.
package struct ModelDescription: Sendable {
    /// `model_type` of config.json: "internvl" or "internvl_chat".
    package let modelType: String
    /// The name of the prompt template an OpenGVLab config gives (`template`); nil elsewhere.
    package var templateName: String?
    /// The text tower's own `model_type`: "llama", "qwen2", and what else `TextKind` lists.
    package let textModelType: String
    /// The text tower's shape.
    package var text: TextShape
    /// The vision tower's shape and rules; nil for a model without one.
    package var vision: VisionShape?
    /// The type the weights are stored in, by config (`dtype`, `torch_dtype`).
    package let storedType: ElementType
    /// What generation_config.json and config.json say about ending and sampling.
    package var generation: GenerationDefaults

    /// Takes checked parts.
    package init(
        modelType: String, textModelType: String, text: TextShape, vision: VisionShape?,
        storedType: ElementType,
        generation: GenerationDefaults, templateName: String? = nil,
    ) {
        self.modelType = modelType
        self.textModelType = textModelType
        self.text = text
        self.vision = vision
        self.storedType = storedType
        self.generation = generation
        self.templateName = templateName
    }
}
