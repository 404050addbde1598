package import Checkpoints
import Images
import JSON
import Tensors

/// Qwen, the first of them, by itself and as the text tower of Qwen-VL.
package struct QwenFamily: ModelFamily {
    package let architectures = ["QWenLMHeadModel"]
    package let modelTypes = ["qwen"]
    /// Learned positions of the tower along a side, whatever its pictures' size.
    private static let positionSide = 16

    package func describe(_ files: ModelFiles) throws(CheckpointError) -> ModelDescription {
        let config = files.config
        let shape = try text(config)
        let section = try config.section("visual")
        let tower: VisionShape? = if let section { try vision(section, shape) } else { nil }
        var generation = try GenerationDefaults(files, text: config, vocabularyCount: shape.vocabularyCount)
        // The base models have "raw" there, and no format for chats.
        let isChat = try files.generation?.string("chat_format", or: "chatml") != "raw"
        if isChat, let end = generation.endIDs.first {
            // The marks of a turn, which follow the end of a text in the tokenizer, end an answer too.
            for id in (end + 1)...(end + 2)
            where Int(id) < shape.vocabularyCount && !generation.endIDs.contains(id) {
                generation.endIDs.append(id)
            }
        }
        return ModelDescription(
            modelType: modelTypes[0], textModelType: modelTypes[0], text: shape, vision: tower,
            storedType: try StoredType.read(config, text: config), generation: generation,
            templateName: isChat ? "qwen" : nil)
    }

    private func text(_ config: ConfigSection) throws(CheckpointError) -> TextShape {
        let hidden = try config.int("hidden_size", atMost: 1 << 18)
        let heads = try config.int("num_attention_heads", atMost: 1 << 12)
        let headDim = try config.int("kv_channels", atMost: 1 << 12, or: 128)
        guard headDim * heads == hidden else {
            throw config.refusal(
                "kv_channels", "is \(headDim), but \(heads) heads of it must make hidden_size, \(hidden)")
        }
        guard headDim.isMultiple(of: 2) else {
            throw config.refusal("kv_channels", "is \(headDim), but must be even for the rotary embedding")
        }
        // What is stored is the width of gate and other half together.
        let width = try config.int("intermediate_size", atLeast: 2, atMost: 1 << 21)
        guard width.isMultiple(of: 2) else {
            throw config.refusal("intermediate_size", "is \(width), but must be even")
        }
        guard try config.double("rotary_pct", atLeast: 0, atMost: 1, or: 1) == 1 else {
            throw config.refusal("rotary_pct", "is below 1, which is not supported")
        }
        guard try config.bool("scale_attn_weights", or: true) else {
            throw config.refusal("scale_attn_weights", "is false, but must be true")
        }
        return TextShape(
            layerCount: try config.int("num_hidden_layers", atMost: 1 << 12), hiddenSize: hidden,
            intermediateSize: width / 2,
            heads: HeadLayout(heads: heads, keyValueHeads: heads, headDim: headDim),
            vocabularyCount: try config.int("vocab_size", atMost: 1 << 24),
            maxPositions: try positions(config),
            epsilon: Float(try config.double("layer_norm_epsilon", atLeast: 0, atMost: 1, or: 1e-6)),
            rotary: RotaryShape(
                base: try config.double("rotary_emb_base", atLeast: 2, atMost: 1e12, or: 10_000)),
            biases: try config.bool("no_bias", or: true) ? [.qkv] : [.qkv, .output, .mlp],
            tiesEmbeddings: try config.bool("tie_word_embeddings", or: false),
            initializerRange: Float(
                try config.double("initializer_range", atLeast: 0, atMost: 10, or: 0.02)),
            names: .qwen)
    }

    /// The longest sequence: beyond the trained length attention would depend on the length of the whole prompt
    /// (`use_dynamic_ntk`) and scale queries by their place (`use_logn_attn`), so such models end there.
    private func positions(_ config: ConfigSection) throws(CheckpointError) -> Int {
        let most = try config.int("max_position_embeddings", atMost: 1 << 24, or: 8192)
        let stretches = try config.bool("use_dynamic_ntk", or: true)
        let scales = try config.bool("use_logn_attn", or: true)
        guard stretches || scales else { return most }
        return min(most, try config.int("seq_length", atMost: 1 << 24))
    }

    private func vision(
        _ section: ConfigSection, _ text: TextShape,
    ) throws(CheckpointError) -> VisionShape {
        let width = try section.int("width", atMost: 1 << 16)
        let heads = try section.int("heads", atMost: 1 << 10)
        guard width.isMultiple(of: heads) else {
            throw section.refusal("heads", "is \(heads), but must divide width, \(width)")
        }
        let output = try section.int("output_dim", atMost: 1 << 18)
        guard output == text.hiddenSize else {
            throw section.refusal(
                "output_dim", "is \(output), but must be the text tower's hidden_size, \(text.hiddenSize)")
        }
        guard output.isMultiple(of: 128) else {
            throw section.refusal("output_dim", "is \(output), but must be a multiple of 128")
        }
        let size = try section.int("image_size", atMost: 1 << 13)
        let patch = try section.int("patch_size", atMost: 1 << 10)
        guard size.isMultiple(of: patch) else {
            throw section.refusal(
                "image_size", "is \(size), but must be a multiple of patch_size, \(patch)")
        }
        let ratio = try section.double("mlp_ratio", atLeast: 1e-3, atMost: 64)
        let start = try section.int("image_start_id", atLeast: 0, atMost: 1 << 24)
        guard start + 2 < text.vocabularyCount else {
            throw section.refusal(
                "image_start_id",
                "is \(start), but three ids from it on must be below vocab_size, \(text.vocabularyCount)")
        }
        let side = try querySide(section, patchesPerSide: size / patch)
        var vision = VisionShape(
            layerCount: try section.int("layers", atMost: 1 << 10), hiddenSize: width, heads: heads,
            cut: .views(
                ViewOptions(
                    viewSize: size, patchSize: patch, tokensPerView: side * side, fit: .stretched)),
            patchSize: patch,
            markers: ImageMarkers(
                start: "<img>", context: "<imgpad>", end: "</img>", areNumbered: true),
            // Safe: at most 64 · 2¹⁶.
            intermediateSize: max(1, Int(Double(width) * ratio)), norm: .layer(epsilon: 1e-6),
            mean: VisionShape.clipMean, deviation: VisionShape.clipDeviation)
        vision.positionSide = Self.positionSide
        vision.resampler = ResamplerShape(side: side, heads: output / 128)
        return vision
    }

    /// The side of the square of queries.
    private func querySide(
        _ section: ConfigSection, patchesPerSide most: Int,
    ) throws(CheckpointError) -> Int {
        let key = "n_queries", count = try section.int(key, atMost: 1 << 16, or: 256)
        let side = Int(Double(count).squareRoot().rounded())
        guard side * side == count, side <= most else {
            throw section.refusal(
                key, "is \(count), but must be the square of a number up to \(most), the patches along a side"
            )
        }
        return side
    }

    package func load(
        _ description: ModelDescription, _ loader: Loader,
    ) throws(ModelError) -> any VisionLanguageModel {
        guard let vision = description.vision else {
            return TextModel(
                description: description,
                decoder: try DecoderStack(
                    loader.forText["transformer"], head: loader.forText, description.text))
        }
        guard let resampler = vision.resampler else {
            preconditionFailure("Qwen-VL has a resampler")
        }
        return try FirstQwenVL(description, vision, resampler, loader)
    }

    package func mayRemain(_ tensor: String, _ description: ModelDescription) -> Bool {
        tensor.hasSuffix("attn.masked_bias") || description.text.leavesOut(tensor)
    }
}
