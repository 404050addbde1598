package import Checkpoints
import Images
import JSON
import Tensors

/// Qwen2-VL and Qwen2.5-VL, in the published layout and in that of transformers 5.
package struct QwenVLFamily: ModelFamily {
    /// Which of the two it is.
    enum Version: Sendable { case two, twoAndAHalf }

    private let version: Version
    package let architectures: [String]
    package let modelTypes: [String]

    /// Qwen2-VL.
    static let two = QwenVLFamily(.two, "Qwen2VLForConditionalGeneration", "qwen2_vl")
    /// Qwen2.5-VL.
    static let twoAndAHalf = QwenVLFamily(
        .twoAndAHalf, "Qwen2_5_VLForConditionalGeneration", "qwen2_5_vl")

    private init(_ version: Version, _ architecture: String, _ modelType: String) {
        self.version = version
        architectures = [architecture]
        modelTypes = [modelType]
    }

    package func describe(_ files: ModelFiles) throws(CheckpointError) -> ModelDescription {
        let config = files.config
        // Version 4 has the text tower's settings beside `vision_config`.
        let text = try config.section("text_config") ?? config
        let shape = try TextConfig.read(
            text, kind: "qwen2", tied: try config.bool("tie_word_embeddings", or: false))
        guard shape.rotary.sections != nil else {
            throw text.refusal("mrope_section", "is missing from the rotary embedding's parameters")
        }
        let vision = try vision(
            try config.requiredSection("vision_config"), files.preprocessor, hidden: shape.hiddenSize)
        return ModelDescription(
            modelType: modelTypes[0], textModelType: "qwen2", text: shape, vision: vision,
            storedType: try StoredType.read(config, text: text),
            generation: try GenerationDefaults(files, text: text, vocabularyCount: shape.vocabularyCount))
    }

    private func vision(
        _ section: ConfigSection, _ preprocessor: ConfigSection?, hidden: Int,
    ) throws(CheckpointError) -> VisionShape {
        let isFirst = version == .two
        let width = try section.int(isFirst ? "embed_dim" : "hidden_size", atMost: 1 << 16)
        let heads = try section.int("num_heads", atMost: 1 << 10)
        guard width.isMultiple(of: 4 * heads) else {
            throw section.refusal(
                "num_heads", "is \(heads), but four times it must divide the width, \(width)")
        }
        let output = try section.int(isFirst ? "hidden_size" : "out_hidden_size", atMost: 1 << 18, or: hidden)
        guard output == hidden else {
            throw section.refusal(
                isFirst ? "hidden_size" : "out_hidden_size",
                "is \(output), but must be the text tower's hidden_size, \(hidden)")
        }
        let activation = try section.string("hidden_act", or: isFirst ? "quick_gelu" : "silu")
        guard activation == (isFirst ? "quick_gelu" : "silu") else {
            throw section.refusal("hidden_act", "is \"\(activation)\", which is not supported")
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
            intermediateSize: isFirst
                ? width * (try section.int("mlp_ratio", atMost: 1 << 6, or: 4))
                : try section.int("intermediate_size", atMost: 1 << 18),
            activation: isFirst ? .gelu(.logistic) : .gatedSiLU,
            norm: isFirst ? .layer(epsilon: 1e-6) : .rms(epsilon: 1e-6), mean: VisionShape.clipMean,
            deviation: VisionShape.clipDeviation,
            initializerRange: Float(
                try section.double("initializer_range", atLeast: 0, atMost: 10, or: 0.02)))
        if !isFirst { vision.wholeLayers = try wholeLayers(section, of: layerCount) }
        try vision.readNormalisation(preprocessor)
        return vision
    }

    private func wholeLayers(_ section: ConfigSection, of count: Int) throws(CheckpointError) -> Set<Int> {
        let key = "fullatt_block_indexes"
        guard let value = section.value(key) else { return [7, 15, 23, 31] }
        let layers = value.array?.compactMap(\.int) ?? []
        guard layers.count == value.array?.count, layers.allSatisfy({ (0..<count).contains($0) }) else {
            throw section.refusal(key, "is \(value.summary), but must be a list of layers below \(count)")
        }
        return Set(layers)
    }

    private func patches(
        _ section: ConfigSection, _ preprocessor: ConfigSection?,
    ) throws(CheckpointError) -> PatchOptions {
        let size = try section.int("patch_size", atLeast: 4, atMost: 256, or: 14)
        let merge = try section.int("spatial_merge_size", atMost: 8, or: 2)
        var patches = PatchOptions(patchSize: size, mergeSize: merge)
        if version == .twoAndAHalf {
            let window = try section.int("window_size", atLeast: size * merge, atMost: 1 << 13, or: 112)
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
        let most = 1 << 26
        patches.maxPixels = try preprocessor.int(
            "max_pixels", atLeast: size * size, atMost: most,
            or: try sizes?.int("longest_edge", atLeast: size * size, atMost: most, or: patches.maxPixels)
                ?? patches.maxPixels)
        patches.minPixels = try preprocessor.int(
            "min_pixels", atMost: patches.maxPixels,
            or: try sizes?.int("shortest_edge", atMost: patches.maxPixels, or: patches.minPixels)
                ?? min(patches.minPixels, patches.maxPixels))
        return patches
    }

    package func load(
        _ description: ModelDescription, _ loader: Loader,
    ) throws(ModelError) -> any VisionLanguageModel {
        guard let vision = description.vision, case .patches(let patches) = vision.cut else {
            preconditionFailure("Qwen-VL has a vision tower that takes patches")
        }
        return try QwenVL(description, vision, patches, loader)
    }

    package func mayRemain(_ tensor: String, _ description: ModelDescription) -> Bool {
        QwenVL.mayRemain(tensor, description)
    }
}
