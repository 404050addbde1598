package import Checkpoints

/// LLaVA 1.5 and what is built like it, in the published layout and in that of transformers 5.
package struct LlavaFamily: ModelFamily {
    package let architectures = ["LlavaForConditionalGeneration"]
    package let modelTypes = ["llava"]

    package func describe(_ files: ModelFiles) throws(CheckpointError) -> ModelDescription {
        let config = files.config
        let text = try LlavaConfig.text(config)
        let shape = try TextConfig.read(text, tied: try config.bool("tie_word_embeddings", or: false))
        return ModelDescription(
            modelType: modelTypes[0], textModelType: try text.string("model_type"), text: shape,
            vision: try LlavaConfig.vision(config, files.preprocessor),
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
