import Checkpoints
import Images
import JSON
import Tensors

/// What LLaVA's configurations say, with transformers' values for what published ones leave out.
enum LlavaConfig {
    /// Which of the models it is.
    enum Kind: Sendable { case plain, next, oneVision }

    /// The text tower's part; the published ones of LLaVA 1.5 name no sizes.
    static func text(_ config: ConfigSection, _ kind: Kind) throws(CheckpointError) -> ConfigSection {
        let text = try config.requiredSection("text_config")
        let usual = kind == .oneVision ? "qwen2" : "llama"
        var defaults: [(String, JSONValue)] = [("model_type", .string(usual))]
        switch text.value("model_type")?.string ?? usual {
        case "llama":
            defaults += numbers([
                ("hidden_size", 4096), ("intermediate_size", 11008), ("num_hidden_layers", 32),
                ("num_attention_heads", 32), ("max_position_embeddings", 2048), ("vocab_size", 32000),
                ("bos_token_id", 1), ("eos_token_id", 2),
            ])
        case "mistral":
            defaults += numbers([
                ("hidden_size", 4096), ("intermediate_size", 14336), ("num_hidden_layers", 32),
                ("num_attention_heads", 32), ("num_key_value_heads", 8),
                ("max_position_embeddings", 4096 * 32), ("vocab_size", 32000), ("bos_token_id", 1),
                ("eos_token_id", 2),
            ])
            // Null is no window.
            if text.settings["sliding_window"] == nil { defaults += numbers([("sliding_window", 4096)]) }
        default: break
        }
        return text.filled(with: defaults)
    }

    static func numbers(_ values: [(String, Int)]) -> [(String, JSONValue)] {
        values.map { ($0.0, .int($0.1)) }
    }

    /// The tower of a configuration that names none.
    private static func unnamedVision(_ kind: Kind) -> ConfigSection {
        ConfigSection(file: "config.json", path: "vision_config.", settings: [:]).filled(
            with: numbers(
                kind == .oneVision
                    ? [
                        ("hidden_size", 1152), ("intermediate_size", 4304), ("num_hidden_layers", 26),
                        ("num_attention_heads", 16), ("image_size", 384), ("patch_size", 14),
                    ]
                    : [
                        ("hidden_size", 1024), ("intermediate_size", 4096), ("num_hidden_layers", 24),
                        ("num_attention_heads", 16), ("image_size", 336), ("patch_size", 14),
                    ]))
    }

    /// The vision tower, what is taken of it, and how pictures are made ready for it.
    static func vision(
        _ config: ConfigSection, _ preprocessor: ConfigSection?, _ kind: Kind,
    ) throws(CheckpointError) -> VisionShape {
        var section = try config.section("vision_config") ?? unnamedVision(kind)
        let type = try section.string(
            "model_type", or: kind == .oneVision ? "siglip_vision_model" : "clip_vision_model")
        guard ["clip_vision_model", "siglip_vision_model"].contains(type) else {
            throw section.refusal(
                "model_type",
                "is \"\(type)\", but must be clip_vision_model or siglip_vision_model")
        }
        let isClip = type == "clip_vision_model"
        section = section.filled(
            with: numbers([
                ("hidden_size", 768), ("intermediate_size", 3072), ("num_hidden_layers", 12),
                ("num_attention_heads", 12), ("image_size", 224), ("patch_size", isClip ? 32 : 16),
            ]))
        let (width, heads) = try sizes(section)
        let count = try section.int("num_hidden_layers", atMost: 1 << 10)
        let features = try features(config, layerCount: count, isClip: isClip, kind)
        let views = try views(section, config, preprocessor, features, kind)
        let epsilon = try section.double("layer_norm_eps", atLeast: 0, atMost: 1, or: isClip ? 1e-5 : 1e-6)
        let half: [Float] = [0.5, 0.5, 0.5]
        var vision = VisionShape(
            layerCount: features.layers.max() ?? 0, hiddenSize: width, heads: heads, cut: .views(views),
            patchSize: views.patchSize, markers: ImageMarkers(start: "", context: "<image>", end: ""),
            intermediateSize: try section.int("intermediate_size", atMost: 1 << 18),
            activation: .gelu(
                try gelu(section, "hidden_act", or: isClip ? "quick_gelu" : "gelu_pytorch_tanh")),
            norm: .layer(epsilon: Float(epsilon)), mean: isClip ? VisionShape.clipMean : half,
            deviation: isClip ? VisionShape.clipDeviation : half,
            initializerRange: Float(
                try section.double("initializer_range", atLeast: 0, atMost: 10, or: 0.02)))
        vision.features = features
        try vision.readNormalisation(preprocessor)
        return vision
    }

    static func gelu(
        _ section: ConfigSection, _ key: String, or fallback: String,
    ) throws(CheckpointError) -> GELU {
        switch try section.string(key, or: fallback) {
        case "gelu": return .exact
        case "gelu_pytorch_tanh", "gelu_new": return .tanh
        case "quick_gelu": return .logistic
        case let other:
            throw section.refusal(
                key, "is \"\(other)\", but must be gelu, gelu_pytorch_tanh or quick_gelu")
        }
    }

    private static func features(
        _ config: ConfigSection, layerCount count: Int, isClip: Bool, _ kind: Kind,
    ) throws(CheckpointError) -> FeatureChoice {
        let key = "vision_feature_layer"
        let chosen =
            config.value(key)?.array == nil
            ? [try config.int(key, atLeast: -count - 1, atMost: count, or: kind == .oneVision ? -1 : -2)]
            : try config.ints(key) ?? []
        let layers = chosen.map { $0 < 0 ? count + 1 + $0 : $0 }
        guard !layers.isEmpty, layers.count <= 64, layers.allSatisfy({ (0...count).contains($0) }) else {
            throw config.refusal(key, "must be layers of the \(count) there are")
        }
        let strategy = try config.string(
            "vision_feature_select_strategy", or: kind == .oneVision ? "full" : "default")
        guard ["default", "full"].contains(strategy) else {
            throw config.refusal(
                "vision_feature_select_strategy", "is \"\(strategy)\", but must be default or full")
        }
        return FeatureChoice(
            layers: layers, hasClassToken: isClip, dropsFirst: strategy == "default",
            hasProjectorBias: try config.bool("multimodal_projector_bias", or: true),
            projectorActivation: try gelu(config, "projector_hidden_act", or: "gelu"))
    }

    private static func views(
        _ section: ConfigSection, _ config: ConfigSection, _ preprocessor: ConfigSection?,
        _ features: FeatureChoice, _ kind: Kind,
    ) throws(CheckpointError) -> ViewOptions {
        let side = try section.int("image_size", atMost: 1 << 13)
        let patch = try section.int("patch_size", atMost: 1 << 10)
        guard patch <= side else {
            throw section.refusal("patch_size", "is \(patch), but must be at most image_size, \(side)")
        }
        let perSide = side / patch
        let tokens =
            perSide * perSide + (features.hasClassToken ? 1 : 0) - (features.dropsFirst ? 1 : 0)
        guard tokens > 0 else { throw section.refusal("patch_size", "leaves no patch of a view") }
        try checkSteps(preprocessor)
        guard kind != .plain else {
            return ViewOptions(
                viewSize: side, patchSize: patch, tokensPerView: tokens,
                fit: try fit(preprocessor, side: side, isClip: features.hasClassToken),
                filter: try filter(preprocessor))
        }
        guard tokens == perSide * perSide else {
            throw config.refusal(
                "vision_feature_select_strategy", "must leave the patches of a view and nothing else")
        }
        if let preprocessor {
            for key in ["size", "crop_size"] { try check(preprocessor, key, side) }
        }
        return ViewOptions(
            viewSize: side, patchSize: patch, tokensPerView: tokens, fit: .stretched,
            filter: try filter(preprocessor),
            resolutions: AnyResolution(
                sizes: try sizes(config, preprocessor, side: side, kind),
                mostViews: kind == .oneVision ? try mostViews(config) : nil))
    }

    /// The sizes pictures may be brought to, in views.
    private static func sizes(
        _ config: ConfigSection, _ preprocessor: ConfigSection?, side: Int, _ kind: Kind,
    ) throws(CheckpointError) -> [AnyResolution.Size] {
        let key = "image_grid_pinpoints"
        let written = config.value(key), other = preprocessor?.value(key)
        guard written == nil || other == nil || written == other else {
            throw config.refusal(key, "differs from the preprocessor's")
        }
        guard let value = written ?? other else {
            // What the classes of transformers have.
            guard kind == .oneVision else {
                return [(1, 2), (2, 1), (2, 2), (3, 1), (1, 3)].map {
                    AnyResolution.Size(rows: $0, columns: $1)
                }
            }
            return (1...6).flatMap { rows in
                (1...6).map { AnyResolution.Size(rows: rows, columns: $0) }
            }
        }
        var sizes: [AnyResolution.Size] = []
        for pair in value.array ?? [] {
            guard let sides = pair.array?.compactMap(\.int), sides.count == 2,
                sides.allSatisfy({ $0 > 0 && $0.isMultiple(of: side) && $0 / side <= 64 })
            else { throw config.refusal(key, "must be [height, width] in multiples of image_size, \(side)") }
            // Safe: each is at most 64 sides of a view.
            guard sides[0] * sides[1] <= 1 << 26 else {
                throw config.refusal(key, "has \(sides), but a picture may have 64 million pixels")
            }
            sizes.append(AnyResolution.Size(rows: sides[0] / side, columns: sides[1] / side))
        }
        guard !sizes.isEmpty, sizes.count <= 1024 else {
            throw config.refusal(key, "is \(value.summary), but must be a list of sizes")
        }
        return sizes
    }

    /// What `vision_aspect_ratio` bounds the tokens of tiles to.
    private static func mostViews(_ config: ConfigSection) throws(CheckpointError) -> Int {
        let key = "vision_aspect_ratio", prefix = "anyres_max_"
        let text = try config.string(key, or: "anyres_max_9")
        guard text.hasPrefix(prefix), let count = Int(text.dropFirst(prefix.count)),
            (1...4096).contains(count)
        else { throw config.refusal(key, "is \"\(text)\", but must be anyres_max_ and a number") }
        return count
    }

    /// Throws unless the image processor's steps are the usual ones.
    static func checkSteps(_ preprocessor: ConfigSection?) throws(CheckpointError) {
        guard let preprocessor else { return }
        for key in ["do_resize", "do_rescale", "do_normalize"] {
            guard try preprocessor.bool(key, or: true) else {
                throw preprocessor.refusal(key, "is false, but must be true")
            }
        }
        let factor = try preprocessor.double("rescale_factor", atLeast: 0, atMost: 1, or: 1 / 255.0)
        guard abs(factor * 255 - 1) < 1e-6 else {
            throw preprocessor.refusal("rescale_factor", "is \(factor), but must be 1/255")
        }
    }

    /// How the image processor makes a square of `side` pixels of a picture.
    private static func fit(
        _ preprocessor: ConfigSection?, side: Int, isClip: Bool,
    ) throws(CheckpointError) -> ViewOptions.Fit {
        let usual: ViewOptions.Fit = isClip ? .cropped(shorterSide: side) : .stretched
        guard let preprocessor else { return usual }
        guard try !preprocessor.bool("do_pad", or: false) else {
            throw preprocessor.refusal("do_pad", "is true, but pictures are not padded")
        }
        let crops = try preprocessor.bool("do_center_crop", or: isClip)
        if crops { try check(preprocessor, "crop_size", side) }
        guard let size = preprocessor.value("size") else { return usual }
        guard size.int != nil || size.object?["shortest_edge"] != nil else {
            try check(preprocessor, "size", side)
            return .stretched
        }
        let edges = size.object == nil ? preprocessor : try preprocessor.requiredSection("size")
        let shorter = try edges.int(size.object == nil ? "size" : "shortest_edge", atMost: 1 << 13)
        guard crops else {
            throw preprocessor.refusal("do_center_crop", "is false, but pictures must become squares")
        }
        guard shorter >= side else {
            throw preprocessor.refusal(
                "size", "is \(shorter) along the shorter side, but must be at least \(side)")
        }
        return .cropped(shorterSide: shorter)
    }

    /// Throws unless the sides at `key`, where there are any, are `side`.
    static func check(
        _ preprocessor: ConfigSection, _ key: String, _ side: Int,
    ) throws(CheckpointError) {
        guard let value = preprocessor.value(key) else { return }
        let found =
            value.object.map { object in
                object["shortest_edge"].map { [$0] } ?? [object["height"] ?? .null, object["width"] ?? .null]
            } ?? [value]
        guard found.allSatisfy({ $0.int == side }) else {
            throw preprocessor.refusal(key, "must be the vision tower's image_size, \(side)")
        }
    }

    /// The width and the heads of a tower of pictures in colour.
    static func sizes(_ section: ConfigSection) throws(CheckpointError) -> (width: Int, heads: Int) {
        let width = try section.int("hidden_size", atMost: 1 << 16)
        let heads = try section.int("num_attention_heads", atMost: 1 << 10)
        guard width.isMultiple(of: heads) else {
            throw section.refusal(
                "num_attention_heads", "is \(heads), but must divide hidden_size, \(width)")
        }
        guard try section.int("num_channels", atMost: 3, or: 3) == 3 else {
            throw section.refusal("num_channels", "must be 3")
        }
        return (width, heads)
    }

    /// How the image processor resizes; `fallback` where it does not say.
    static func filter(
        _ preprocessor: ConfigSection?, or fallback: ResizeFilter = .bicubic,
    ) throws(CheckpointError) -> ResizeFilter {
        guard let preprocessor, preprocessor.value("resample") != nil else { return fallback }
        switch try preprocessor.int("resample", atLeast: 0, atMost: 5) {
        case 1: return .lanczos
        case 2: return .bilinear
        case 3: return .bicubic
        default: throw preprocessor.refusal("resample", "must be 1, 2 or 3")
        }
    }
}

extension ConfigSection {
    /// The section with `defaults` where it has no value.
    func filled(with defaults: [(String, JSONValue)]) -> ConfigSection {
        var settings = settings
        for (key, value) in defaults where self.value(key) == nil { settings.set(key, value) }
        return ConfigSection(file: file, path: path, settings: settings)
    }
}
