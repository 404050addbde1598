package import Checkpoints
import Images
import JSON
import Tensors

/// Gemma 3 with its vision tower, in the published layout and in that of transformers 5.
package struct Gemma3Family: ModelFamily {
    package let architectures = ["Gemma3ForConditionalGeneration"]
    package let modelTypes = ["gemma3"]

    package func describe(_ files: ModelFiles) throws(CheckpointError) -> ModelDescription {
        let config = files.config
        let text = try config.requiredSection("text_config").filled(
            with: [("model_type", .string("gemma3_text"))])
        let type = try text.string("model_type")
        guard type == "gemma3_text" else {
            throw text.refusal("model_type", "is \"\(type)\", but must be gemma3_text")
        }
        var shape = try TextConfig.read(text, tied: true)
        // One of the two is enough.
        if try !config.bool("tie_word_embeddings", or: true) { shape.tiesEmbeddings = false }
        return ModelDescription(
            modelType: modelTypes[0], textModelType: type, text: shape,
            vision: try vision(config, files.preprocessor),
            storedType: try StoredType.read(config, text: text),
            generation: try GenerationDefaults(files, text: text, vocabularyCount: shape.vocabularyCount))
    }

    /// SigLIP, and how pictures are made ready for it: one square view each.
    private func vision(
        _ config: ConfigSection, _ preprocessor: ConfigSection?,
    ) throws(CheckpointError) -> VisionShape {
        let section = try config.requiredSection("vision_config").filled(
            with: LlavaConfig.numbers([
                ("hidden_size", 768), ("intermediate_size", 3072), ("num_hidden_layers", 12),
                ("num_attention_heads", 12), ("image_size", 224), ("patch_size", 16),
            ]))
        let type = try section.string("model_type", or: "siglip_vision_model")
        guard type == "siglip_vision_model" else {
            throw section.refusal("model_type", "is \"\(type)\", but must be siglip_vision_model")
        }
        let (width, heads) = try LlavaConfig.sizes(section)
        let views = try views(section, config, preprocessor)
        let half: [Float] = [0.5, 0.5, 0.5]
        var vision = VisionShape(
            layerCount: try section.int("num_hidden_layers", atMost: 1 << 10), hiddenSize: width,
            heads: heads, cut: .views(views), patchSize: views.patchSize,
            markers: ImageMarkers(
                start: "<start_of_image>", context: "<image_soft_token>", end: "<end_of_image>",
                surroundings: "\n\n"),
            intermediateSize: try section.int("intermediate_size", atMost: 1 << 18),
            activation: .gelu(try LlavaConfig.gelu(section, "hidden_act", or: "gelu_pytorch_tanh")),
            norm: .layer(
                epsilon: Float(
                    try section.double("layer_norm_eps", atLeast: 0, atMost: 1, or: 1e-6))),
            mean: half, deviation: half,
            initializerRange: Float(
                try section.double("initializer_range", atLeast: 0, atMost: 10, or: 0.02)))
        try vision.readNormalisation(preprocessor)
        vision.seesWholePictures = true
        return vision
    }

    private func views(
        _ section: ConfigSection, _ config: ConfigSection, _ preprocessor: ConfigSection?,
    ) throws(CheckpointError) -> ViewOptions {
        let side = try section.int("image_size", atMost: 1 << 13)
        let patch = try section.int("patch_size", atMost: 1 << 10)
        let tokens = try config.int("mm_tokens_per_image", atMost: 1 << 16, or: 256)
        let perSide = side / patch, tokensPerSide = Int(Double(tokens).squareRoot())
        guard tokensPerSide * tokensPerSide == tokens, perSide > 0, perSide.isMultiple(of: tokensPerSide)
        else {
            throw config.refusal(
                "mm_tokens_per_image",
                "is \(tokens), but must be the square of a number that divides the \(perSide) patches of a side"
            )
        }
        try LlavaConfig.checkSteps(preprocessor)
        if let preprocessor {
            guard try !preprocessor.bool("do_pan_and_scan", or: false) else {
                throw preprocessor.refusal("do_pan_and_scan", "is true, but pictures are taken whole")
            }
            try LlavaConfig.check(preprocessor, "size", side)
        }
        return ViewOptions(
            viewSize: side, patchSize: patch, tokensPerView: tokens, fit: .stretched,
            filter: try LlavaConfig.filter(preprocessor, or: .bilinear))
    }

    package func load(
        _ description: ModelDescription, _ loader: Loader,
    ) throws(ModelError) -> any VisionLanguageModel {
        guard let vision = description.vision, case .views(let views) = vision.cut else {
            preconditionFailure("Gemma 3 sees a picture in one view")
        }
        return try Gemma3(description, vision, views, loader)
    }

    package func mayRemain(_ tensor: String, _ description: ModelDescription) -> Bool {
        Llava.mayRemain(tensor, description)
    }
}
