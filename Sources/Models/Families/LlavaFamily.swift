package import Checkpoints

/// LLaVA 1.5 and what is built like it, LLaVA-NeXT and LLaVA-OneVision, in the published layout and in that of
/// transformers 5.
package struct LlavaFamily: ModelFamily {
    package let architectures: [String]
    package let modelTypes: [String]
    private let kind: LlavaConfig.Kind

    /// LLaVA 1.5.
    static let plain = LlavaFamily(.plain, "LlavaForConditionalGeneration", "llava")
    /// LLaVA-NeXT.
    static let next = LlavaFamily(.next, "LlavaNextForConditionalGeneration", "llava_next")
    /// LLaVA-OneVision.
    static let oneVision = LlavaFamily(
        .oneVision, "LlavaOnevisionForConditionalGeneration", "llava_onevision")

    private init(_ kind: LlavaConfig.Kind, _ architecture: String, _ modelType: String) {
        self.kind = kind
        architectures = [architecture]
        modelTypes = [modelType]
    }

    package func describe(_ files: ModelFiles) throws(CheckpointError) -> ModelDescription {
        let config = files.config
        let text = try LlavaConfig.text(config, kind)
        var shape = try TextConfig.read(text, tied: false)
        // One of the two is enough.
        if try config.bool("tie_word_embeddings", or: false) { shape.tiesEmbeddings = true }
        return ModelDescription(
            modelType: modelTypes[0], textModelType: try text.string("model_type"), text: shape,
            vision: try LlavaConfig.vision(config, files.preprocessor, kind),
            storedType: try StoredType.read(config, text: text),
            generation: try GenerationDefaults(files, text: text, vocabularyCount: shape.vocabularyCount))
    }

    package func load(
        _ description: ModelDescription, _ loader: Loader,
    ) throws(ModelError) -> any VisionLanguageModel {
        guard let vision = description.vision, let features = vision.features else {
            preconditionFailure("LLaVA has a vision tower that features are taken of")
        }
        return try Llava(description, vision, features, loader)
    }

    package func mayRemain(_ tensor: String, _ description: ModelDescription) -> Bool {
        Llava.mayRemain(tensor, description)
    }
}
