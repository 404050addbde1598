package import Checkpoints
import Images
import JSON
import Tensors

/// Qwen2-VL, Qwen2.5-VL and Qwen3-VL, in the published layouts and in that of transformers 5; and Tarsier2, which is
/// Qwen2-VL under other names.
package struct QwenVLFamily: ModelFamily {
    /// Which of the three it is.
    enum Version: Sendable { case two, twoAndAHalf, three }

    private let version: Version
    private let textKind: String
    package let architectures: [String]
    package let modelTypes: [String]

    /// Qwen2-VL.
    static let two = QwenVLFamily(.two, "Qwen2VLForConditionalGeneration", "qwen2_vl")
    /// Qwen2.5-VL.
    static let twoAndAHalf = QwenVLFamily(
        .twoAndAHalf, "Qwen2_5_VLForConditionalGeneration", "qwen2_5_vl")

    /// Qwen3-VL.
    static let three = QwenVLFamily(.three, "Qwen3VLForConditionalGeneration", "qwen3_vl")
    /// Qwen3-VL with experts.
    static let threeOfExperts = QwenVLFamily(
        .three, text: "qwen3_moe", "Qwen3VLMoeForConditionalGeneration", "qwen3_vl_moe")

    /// Tarsier2, whose files call themselves LLaVA.
    static let tarsier = QwenVLFamily(.two, "TarsierForConditionalGeneration", "tarsier2", "llava")

    private init(
        _ version: Version, text: String? = nil, _ architecture: String, _ modelTypes: String...,
    ) {
        self.version = version
        textKind = text ?? (version == .three ? "qwen3" : "qwen2")
        architectures = [architecture]
        self.modelTypes = modelTypes
    }

    private var isTarsier: Bool { modelTypes.count > 1 }

    private static let names = QwenVL.Names(
        block: VisionBlock.Names(
            attentionNorm: "norm1", attention: "attn", qkv: .stacked("qkv"), output: "proj", mlpNorm: "norm2"),
        merger: Projector.Names(norm: "ln_q", up: "mlp.0", down: "mlp.2"), hasPatchBias: false)
    private static let newNames = QwenVL.Names(
        block: VisionBlock.Names(
            attentionNorm: "norm1", attention: "attn", qkv: .stacked("qkv"), output: "proj", mlpNorm: "norm2",
            mlp: (up: "linear_fc1", down: "linear_fc2")),
        merger: Projector.Names(norm: "norm", up: "linear_fc1", down: "linear_fc2"), hasPatchBias: true)

    package func describe(_ files: ModelFiles) throws(CheckpointError) -> ModelDescription {
        let config = isTarsier ? try TarsierConfig.filled(files.config) : files.config
        // Version 4 has the text tower's settings beside `vision_config`.
        let text = try config.section("text_config") ?? config
        var shape = try TextConfig.read(
            text, kind: textKind, tied: try config.bool("tie_word_embeddings", or: false))
        // Whatever norm_topk_prob says.
        shape.experts?.normalizes = true
        guard shape.rotary.sections != nil else {
            throw text.refusal("mrope_section", "is missing from the rotary embedding's parameters")
        }
        guard shape.rotary.isInterleaved == (version == .three) else {
            throw text.refusal(
                "mrope_interleaved", version == .three ? "must be true" : "is true, but must be false")
        }
        let vision = try vision(
            try config.requiredSection("vision_config"), files.preprocessor, hidden: shape.hiddenSize)
        guard vision.deepLayers.count <= shape.layerCount else {
            throw config.refusal(
                "vision_config.deepstack_visual_indexes", "has more entries than text layers")
        }
        return ModelDescription(
            modelType: modelTypes[0], textModelType: textKind, text: shape, vision: vision,
            storedType: try StoredType.read(config, text: text),
            generation: try GenerationDefaults(files, text: text, vocabularyCount: shape.vocabularyCount))
    }

    private func vision(
        _ section: ConfigSection, _ preprocessor: ConfigSection?, hidden: Int,
    ) throws(CheckpointError) -> VisionShape {
        let widthKey = version == .two ? "embed_dim" : "hidden_size"
        let outputKey = version == .two ? "hidden_size" : "out_hidden_size"
        let width = try section.int(widthKey, atMost: 1 << 16)
        let heads = try section.int("num_heads", atMost: 1 << 10)
        guard width.isMultiple(of: 4 * heads) else {
            throw section.refusal(
                "num_heads", "is \(heads), but four times it must divide the width, \(width)")
        }
        let output = try section.int(outputKey, atMost: 1 << 18, or: hidden)
        guard output == hidden else {
            throw section.refusal(
                outputKey, "is \(output), but must be the text tower's hidden_size, \(hidden)")
        }
        for (key, value) in [("temporal_patch_size", 2), ("in_channels", 3), ("in_chans", 3)] {
            guard try section.int(key, atMost: 1 << 10, or: value) == value else {
                throw section.refusal(key, "must be \(value)")
            }
        }
        let patches = try patches(section, preprocessor)
        let layerCount = try section.int("depth", atMost: 1 << 10)
        var vision = VisionShape(
            layerCount: layerCount, hiddenSize: width, heads: heads, cut: .patches(patches),
            patchSize: patches.patchSize,
            markers: ImageMarkers(
                start: "<|vision_start|>", context: "<|image_pad|>", end: "<|vision_end|>"),
            intermediateSize: version == .two
                ? width * (try section.int("mlp_ratio", atMost: 1 << 6, or: 4))
                : try section.int("intermediate_size", atMost: 1 << 18),
            activation: try activation(section),
            norm: version == .twoAndAHalf ? .rms(epsilon: 1e-6) : .layer(epsilon: 1e-6),
            mean: version == .three ? [0.5, 0.5, 0.5] : VisionShape.clipMean,
            deviation: version == .three ? [0.5, 0.5, 0.5] : VisionShape.clipDeviation,
            initializerRange: Float(
                try section.double("initializer_range", atLeast: 0, atMost: 10, or: 0.02)))
        switch version {
        case .two: break
        case .twoAndAHalf:
            vision.wholeLayers = Set(
                try layers("fullatt_block_indexes", section, of: layerCount, or: [7, 15, 23, 31]))
        case .three:
            vision.deepLayers = try layers(
                "deepstack_visual_indexes", section, of: layerCount, or: [8, 16, 24])
            vision.positionSide = try positionSide(section)
        }
        try vision.readNormalisation(preprocessor)
        return vision
    }

    private func activation(_ section: ConfigSection) throws(CheckpointError) -> VisionShape.Activation {
        let (name, activation): (String, VisionShape.Activation) =
            switch version {
            case .two: ("quick_gelu", .gelu(.logistic))
            case .twoAndAHalf: ("silu", .gatedSiLU)
            case .three: ("gelu_pytorch_tanh", .gelu(.tanh))
            }
        let found = try section.string("hidden_act", or: name)
        guard found == name else {
            throw section.refusal("hidden_act", "is \"\(found)\", but must be \(name)")
        }
        return activation
    }

    /// The side of the square of learned positions.
    private func positionSide(_ section: ConfigSection) throws(CheckpointError) -> Int {
        let key = "num_position_embeddings", count = try section.int(key, atMost: 1 << 20, or: 2304)
        let side = Int(Double(count).squareRoot().rounded())
        guard side > 0, side * side == count else {
            throw section.refusal(key, "is \(count), but must be the square of a number")
        }
        return side
    }

    /// Layers, rising.
    private func layers(
        _ key: String, _ section: ConfigSection, of count: Int, or fallback: [Int],
    ) throws(CheckpointError) -> [Int] {
        let layers = try section.ints(key) ?? fallback
        guard
            layers.allSatisfy({ (0..<count).contains($0) }),
            zip(layers, layers.dropFirst()).allSatisfy({ $0 < $1 })
        else {
            throw section.refusal(key, "must be a rising list of layers below \(count)")
        }
        return layers
    }

    private func patches(
        _ section: ConfigSection, _ preprocessor: ConfigSection?,
    ) throws(CheckpointError) -> PatchOptions {
        let size = try section.int("patch_size", atLeast: 4, atMost: 256, or: version == .three ? 16 : 14)
        let merge = try section.int("spatial_merge_size", atMost: 8, or: 2)
        var patches = PatchOptions(patchSize: size, mergeSize: merge)
        if version == .twoAndAHalf {
            let window = try section.int(
                "window_size", atLeast: size * merge, atMost: 1 << 13, or: max(112, size * merge))
            patches.window = window / (size * merge)
        }
        guard let preprocessor else { return patches }
        for (key, value) in [("patch_size", size), ("merge_size", merge), ("temporal_patch_size", 2)] {
            guard try preprocessor.int(key, atMost: 1 << 13, or: value) == value else {
                throw preprocessor.refusal(key, "differs from the vision tower's, \(value)")
            }
        }
        // Newer files name the same bounds as edges.
        let sizes = try preprocessor.section("size")
        func bound(_ key: String, _ edge: String, atMost most: Int, or fallback: Int) throws(CheckpointError)
            -> Int
        {
            let (section, name) = preprocessor.value(key) == nil ? (sizes, edge) : (preprocessor, key)
            return try section?.int(name, atMost: most, or: fallback) ?? fallback
        }
        patches.maxPixels = max(
            patches.tokenSize * patches.tokenSize,
            try bound("max_pixels", "longest_edge", atMost: 1 << 26, or: patches.maxPixels))
        patches.minPixels = min(
            patches.maxPixels,
            try bound("min_pixels", "shortest_edge", atMost: 1 << 26, or: patches.minPixels))
        return patches
    }

    package func load(
        _ description: ModelDescription, _ loader: Loader,
    ) throws(ModelError) -> any VisionLanguageModel {
        guard let vision = description.vision, case .patches(let patches) = vision.cut else {
            preconditionFailure("Qwen-VL has a vision tower that takes patches")
        }
        return try QwenVL(
            description, vision, patches, version == .three ? Self.newNames : Self.names, loader)
    }

    package func mayRemain(_ tensor: String, _ description: ModelDescription) -> Bool {
        // Earlier Tarsier models have a projector, which nothing goes through with this tower.
        QwenVL.mayRemain(tensor, description) || isTarsier && tensor.hasPrefix("multi_modal_projector.")
    }
}
