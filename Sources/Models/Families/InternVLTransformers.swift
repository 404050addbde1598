package import Checkpoints

/// InternVL in the layout of Hugging Face transformers (`InternVLForConditionalGeneration`).
package struct InternVLTransformers: InternVLFamily {
    package let architectures = ["InternVLForConditionalGeneration"]
    package let modelTypes = ["internvl"]

    /// Hub folders have the names without `model.`; newer releases may write those with it.
    static let names = InternVL.Names(
        vision: ["vision_tower", "model.vision_tower"],
        embedding: PatchEmbedding.Names(
            classToken: "embeddings.cls_token", positions: "embeddings.position_embeddings",
            projection: "embeddings.patch_embeddings.projection"),
        blocks: "encoder.layer",
        block: VisionBlock.Names(
            attentionNorm: "layernorm_before", attention: "attention",
            qkv: .separate(queries: "q_proj", keys: "k_proj", values: "v_proj"),
            output: "projection_layer", attentionScale: "lambda_1", mlpNorm: "layernorm_after",
            mlpScale: "lambda_2"),
        projector: ["multi_modal_projector", "model.multi_modal_projector"],
        projectorLayers: Projector.Names(norm: "layer_norm", up: "linear_1", down: "linear_2"),
        text: ["language_model.model", "model.language_model", "model.language_model.model"],
        head: ["language_model", "", "model.language_model"])

    package func describe(_ files: ModelFiles) throws(CheckpointError) -> ModelDescription {
        let config = files.config
        let text = try config.requiredSection("text_config")
        let section = try config.requiredSection("vision_config")
        try checkFixed(config, section)
        let tiles = try InternVLConfig.tiles(files.preprocessor, least: "min_patches", most: "max_patches")
        // The norms over queries and keys have transformers' default ε, whatever layer_norm_eps says.
        let hasNorms = try section.bool("use_qk_norm", or: false)
        var vision = try InternVLConfig.vision(
            section, in: config, layerKey: "vision_feature_layer",
            hasQKVBias: try section.bool("attention_bias", or: false), queryKeyEpsilon: hasNorms ? 1e-6 : nil,
            tiles: (tiles.least, tiles.most, true))
        try vision.readNormalisation(files.preprocessor)
        let shape = try TextConfig.read(text, tied: try config.bool("tie_word_embeddings", or: false))
        return ModelDescription(
            modelType: modelTypes[0], textModelType: try text.string("model_type"), text: shape,
            vision: vision,
            storedType: try StoredType.read(config, text: text),
            generation: try GenerationDefaults(files, text: text, vocabularyCount: shape.vocabularyCount))
    }

    /// Refuses settings that would need code the model does not have.
    private func checkFixed(_ config: ConfigSection, _ vision: ConfigSection) throws(CheckpointError) {
        let strategy = try config.string("vision_feature_select_strategy", or: "default")
        guard strategy == "default" else {
            throw config.refusal("vision_feature_select_strategy", "is \"\(strategy)\", but must be default")
        }
        let activation = try config.string("projector_hidden_act", or: "gelu")
        guard activation == "gelu" else {
            throw config.refusal("projector_hidden_act", "is \"\(activation)\", but must be gelu")
        }
        for key in ["use_absolute_position_embeddings", "use_mean_pooling"] {
            guard try vision.bool(key, or: true) else {
                throw vision.refusal(key, "is false, but must be true")
            }
        }
    }
}
