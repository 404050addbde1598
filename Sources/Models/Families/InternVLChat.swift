package import Checkpoints
import Images

/// InternVL in OpenGVLab's own layout (`InternVLChatModel`).
package struct InternVLChat: InternVLFamily {
    package let architectures = ["InternVLChatModel"]
    package let modelTypes = ["internvl_chat"]

    static let names = InternVL.Names(
        vision: ["vision_model"],
        embedding: PatchEmbedding.Names(
            classToken: "embeddings.class_embedding", positions: "embeddings.position_embedding",
            projection: "embeddings.patch_embedding"),
        blocks: "encoder.layers",
        block: VisionBlock.Names(
            attentionNorm: "norm1", attention: "attn", qkv: .stacked("qkv"), output: "proj",
            attentionScale: "ls1",
            mlpNorm: "norm2", mlpScale: "ls2"),
        projector: ["mlp1"],
        projectorLayers: Projector.Names(norm: "0", up: "1", down: "3"),
        text: ["language_model.model"],
        head: ["language_model"])

    /// Reads `vision_config`, `llm_config` and the tiling rules; `preprocessor_config.json` is CLIP's and not true.
    package func describe(_ files: ModelFiles) throws(CheckpointError) -> ModelDescription {
        let config = files.config
        let text = try config.requiredSection("llm_config")
        let section = try config.requiredSection("vision_config")
        let version = try config.string("ps_version")
        guard version == "v2" else { throw config.refusal("ps_version", "is \"\(version)\", but must be v2") }
        var tiles = try InternVLConfig.tiles(config, least: "min_dynamic_patch", most: "max_dynamic_patch")
        var hasThumbnail = try config.bool("use_thumbnail", or: false)
        if try !config.bool("dynamic_image_size", or: false) {
            tiles = (1, 1)
            hasThumbnail = false
        }
        let hasNorms = try section.bool("qk_normalization", or: false)
        let epsilon = try section.double("layer_norm_eps", atLeast: 0, atMost: 1, or: 1e-6)
        let vision = try InternVLConfig.vision(
            section, in: config, layerKey: "select_layer", hasQKVBias: try section.bool("qkv_bias", or: true),
            queryKeyEpsilon: hasNorms ? Float(epsilon) : nil, tiles: (tiles.least, tiles.most, hasThumbnail))
        let side = vision.cut.tileSize
        guard try config.int("force_image_size", atMost: 1 << 13, or: side) == side else {
            throw config.refusal(
                "force_image_size",
                "differs from vision_config.image_size, \(side), but positions are not interpolated")
        }
        let shape = try TextConfig.read(text, tied: false)
        return ModelDescription(
            modelType: modelTypes[0], textModelType: try text.string("model_type"), text: shape,
            vision: vision,
            storedType: try StoredType.read(config, text: text),
            generation: try GenerationDefaults(files, text: text, vocabularyCount: shape.vocabularyCount),
            templateName: config.value("template") == nil ? nil : try config.string("template"))
    }
}
