package import Checkpoints
import Images
import JSON
import Tensors

/// Idefics3, which the first SmolVLM is too, and SmolVLM2.
package struct Idefics3Family: ModelFamily {
    package let architectures: [String]
    package let modelTypes: [String]

    /// Idefics3.
    static let three = Idefics3Family("Idefics3ForConditionalGeneration", "idefics3")
    /// SmolVLM2, the same model under another name.
    static let smol = Idefics3Family("SmolVLMForConditionalGeneration", "smolvlm")

    private init(_ architecture: String, _ modelType: String) {
        architectures = [architecture]
        modelTypes = [modelType]
    }

    package func describe(_ files: ModelFiles) throws(CheckpointError) -> ModelDescription {
        let config = files.config
        let text = try LlavaConfig.text(config, .plain)
        var shape = try TextConfig.read(text, tied: false)
        // That of the whole counts; some text towers bring another along.
        shape.tiesEmbeddings = try config.bool("tie_word_embeddings", or: false)
        return ModelDescription(
            modelType: modelTypes[0], textModelType: try text.string("model_type"), text: shape,
            vision: try Self.vision(files),
            storedType: try StoredType.read(config, text: text),
            generation: try GenerationDefaults(files, text: text, vocabularyCount: shape.vocabularyCount))
    }

    package func load(
        _ description: ModelDescription, _ loader: Loader,
    ) throws(ModelError) -> any VisionLanguageModel {
        guard let vision = description.vision else { preconditionFailure("Idefics3 has a vision tower") }
        return try Idefics3(description, vision, loader)
    }

    package func mayRemain(_ tensor: String, _ description: ModelDescription) -> Bool {
        tensor.hasSuffix("position_ids") || description.text.leavesOut(tensor)
    }

    /// The vision tower and how pictures are made ready, with transformers' values for what is not said.
    private static func vision(_ files: ModelFiles) throws(CheckpointError) -> VisionShape {
        let section = try files.config.requiredSection("vision_config")
        let width = try section.int("hidden_size", atMost: 1 << 16, or: 1152)
        let heads = try section.int("num_attention_heads", atMost: 1 << 10, or: 16)
        guard width.isMultiple(of: heads) else {
            throw section.refusal(
                "num_attention_heads", "is \(heads), but must divide hidden_size, \(width)")
        }
        guard try section.int("num_channels", atMost: 3, or: 3) == 3 else {
            throw section.refusal("num_channels", "must be 3")
        }
        let split = try split(files, section)
        let epsilon = try section.double("layer_norm_eps", atLeast: 0, atMost: 1, or: 1e-6)
        var vision = VisionShape(
            layerCount: try section.int("num_hidden_layers", atMost: 1 << 10, or: 12), hiddenSize: width,
            heads: heads, cut: .split(split), patchSize: split.patchSize,
            markers: ImageMarkers(start: "", context: "<image>", end: ""),
            intermediateSize: try section.int("intermediate_size", atMost: 1 << 18, or: 3072),
            activation: .gelu(try LlavaConfig.gelu(section, "hidden_act", or: "gelu_pytorch_tanh")),
            norm: .layer(epsilon: Float(epsilon)), mean: [0.5, 0.5, 0.5], deviation: [0.5, 0.5, 0.5],
            initializerRange: Float(
                try section.double("initializer_range", atLeast: 0, atMost: 10, or: 0.02)))
        try vision.readNormalisation(files.preprocessor)
        return vision
    }

    private static func split(
        _ files: ModelFiles, _ section: ConfigSection,
    ) throws(CheckpointError) -> SplitOptions {
        let tile = try section.side("image_size", atMost: 1 << 12, or: 224)
        let patch = try section.side("patch_size", atMost: 1 << 10, or: 32)
        let merge = try files.config.int("scale_factor", atMost: 64, or: 2)
        guard patch <= tile else {
            throw section.refusal("patch_size", "is \(patch), but must be at most image_size, \(tile)")
        }
        guard (tile / patch).isMultiple(of: merge) else {
            throw files.config.refusal(
                "scale_factor",
                "is \(merge), but must divide the \(tile / patch) patches along a side of a tile")
        }
        try LlavaConfig.checkSteps(files.preprocessor)
        // What the class of the image processor has.
        let largest = try edge(files.preprocessor, "max_image_size", or: 364)
        guard largest == tile else {
            throw (files.preprocessor ?? files.config).refusal(
                "max_image_size", "is \(largest), but must be vision_config.image_size, \(tile)")
        }
        let options = SplitOptions(
            tileSize: tile, patchSize: patch, mergeSize: merge,
            longerSide: try edge(files.preprocessor, "size", or: 4 * 364),
            splits: try files.preprocessor?.bool("do_image_splitting", or: true) ?? true,
            filter: try LlavaConfig.filter(files.preprocessor, or: .lanczos))
        let most = options.mostTiles
        guard most <= 1 << 10 else {
            throw (files.preprocessor ?? files.config).refusal(
                "size", "makes up to \(most) tiles of a picture, but at most 1024 are supported")
        }
        let tokens = options.tokensPerTile
        guard try files.processor?.int("image_seq_len", atMost: 1 << 20, or: tokens) ?? tokens == tokens
        else {
            throw (files.processor ?? files.config).refusal(
                "image_seq_len", "must be the \(tokens) tokens that the tower makes of a tile")
        }
        return options
    }

    /// The longest edge that `key` gives, in pixels.
    private static func edge(
        _ preprocessor: ConfigSection?, _ key: String, or fallback: Int,
    ) throws(CheckpointError) -> Int {
        guard let preprocessor, let value = preprocessor.value(key) else { return fallback }
        guard value.object != nil else {
            throw preprocessor.refusal(key, "is \(value.summary), but must be an object with longest_edge")
        }
        return try preprocessor.requiredSection(key).int("longest_edge", atMost: 1 << 16)
    }
}
