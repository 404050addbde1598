import Checkpoints
package import Images
package import Tensors

/// Sizes and settings of the vision tower, and how pictures become tokens.
package struct VisionShape: Sendable, Hashable {
    /// Layers that run; the checkpoint may have more behind them.
    package var layerCount: Int
    /// Width of the residual stream.
    package var hiddenSize: Int
    /// Attention heads.
    package var heads: Int
    /// How pictures are cut.
    package var cut: ImageCut
    /// Side of a patch, in pixels.
    package var patchSize: Int
    /// What stands round the image tokens of a picture in the prompt, and for each of them.
    package var markers: ImageMarkers
    /// Width of the MLP.
    package var intermediateSize: Int
    /// The activation of the MLP.
    package var activation: Activation
    /// Layers whose attention sees the whole picture where it is cut into windows.
    package var wholeLayers: Set<Int> = []
    /// Layers whose output goes, merged, to the first text layers too (DeepStack, https://arxiv.org/abs/2406.04334).
    package var deepLayers: [Int] = []
    /// The side of the square of learned positions that are interpolated for a picture; nil for none.
    package var positionSide: Int?
    /// Whether the image tokens of a picture see all of them in the text tower, later ones too.
    package var seesWholePictures = false
    /// What LLaVA takes of the tower; nil for other families.
    package var features: FeatureChoice?
    /// The layer that makes image tokens of patches in Qwen-VL; nil for other families.
    package var resampler: ResamplerShape?
    /// The norm before attention and MLP.
    package var norm: Norm
    /// Whether queries, keys and values add a bias.
    package var hasQKVBias: Bool
    /// ε of the norms over whole queries and keys; nil for a tower without them.
    package var queryKeyEpsilon: Float?
    /// What is subtracted from red, green and blue after division by 255.
    package var mean: [Float]
    /// What they are divided by then.
    package var deviation: [Float]
    /// Standard deviation of random weights.
    package var initializerRange: Float

    /// A norm over the hidden size, with its ε.
    package enum Norm: Sendable, Hashable {
        case layer(epsilon: Float)
        case rms(epsilon: Float)
    }

    /// What an MLP does between its products.
    package enum Activation: Sendable, Hashable {
        case gelu(GELU)
        /// SiLU of a gate, times the other half.
        case gatedSiLU
    }

    /// Values ImageNet pictures are normalised by.
    package static let imageNetMean: [Float] = [0.485, 0.456, 0.406]
    /// Values ImageNet pictures are normalised by.
    package static let imageNetDeviation: [Float] = [0.229, 0.224, 0.225]

    /// Values CLIP's pictures are normalised by.
    package static let clipMean: [Float] = [0.481_454_66, 0.457_827_5, 0.408_210_73]
    /// Values CLIP's pictures are normalised by.
    package static let clipDeviation: [Float] = [0.268_629_54, 0.261_302_58, 0.275_777_11]

    /// Takes checked sizes.
    package init(
        layerCount: Int, hiddenSize: Int, heads: Int, cut: ImageCut, patchSize: Int, markers: ImageMarkers,
        intermediateSize: Int = 0, activation: Activation = .gelu(.exact), norm: Norm = .layer(epsilon: 1e-6),
        hasQKVBias: Bool = true, queryKeyEpsilon: Float? = nil, mean: [Float] = imageNetMean,
        deviation: [Float] = imageNetDeviation, initializerRange: Float = 0.02,
    ) {
        self.layerCount = layerCount
        self.hiddenSize = hiddenSize
        self.heads = heads
        self.cut = cut
        self.patchSize = patchSize
        self.markers = markers
        self.intermediateSize = intermediateSize
        self.activation = activation
        self.norm = norm
        self.hasQKVBias = hasQKVBias
        self.queryKeyEpsilon = queryKeyEpsilon
        self.mean = mean
        self.deviation = deviation
        self.initializerRange = initializerRange
    }

    /// Patches along a side of a tile.
    var patchesPerSide: Int { cut.tileSize / patchSize }
    /// Embeddings of an image token: for the text tower's input, and for each text layer that gets one.
    package var planeCount: Int { 1 + deepLayers.count }
    /// Whether queries and keys turn by the place of their patch.
    package var hasRotation: Bool {
        if case .patches = cut { true } else { false }
    }
    /// Values a head has.
    package var headDim: Int { hiddenSize / heads }
    /// Values of the patches that become one image token, side by side.
    package var projectorInputs: Int {
        switch cut {
        case .tiles: 4 * hiddenSize
        case .views: max(1, features?.layers.count ?? 1) * hiddenSize
        case .patches(let options): options.mergeSize * options.mergeSize * hiddenSize
        case .split(let options): options.mergeSize * options.mergeSize * hiddenSize
        }
    }
}

/// What becomes image tokens of a tower whose tokens are projected one by one.
package struct FeatureChoice: Sendable, Hashable {
    /// After how many layers values are taken, to stand side by side.
    package var layers: [Int]
    /// Whether the tower begins with a class token and a norm.
    package var hasClassToken: Bool
    /// Whether the first token of a view is left out.
    package var dropsFirst: Bool
    /// Whether both products of the projector add a bias.
    package var hasProjectorBias: Bool
    /// The activation between them.
    package var projectorActivation: GELU
}

/// Sizes of a layer of attention whose learned queries become the image tokens of a view, whatever its patches.
package struct ResamplerShape: Sendable, Hashable {
    /// Queries along a side of their square.
    package var side: Int
    /// Attention heads.
    package var heads: Int
}

/// The special tokens of pictures in a prompt, by their text.
package struct ImageMarkers: Sendable, Hashable {
    /// Opens a picture: `<img>`.
    package var start: String
    /// Stands for one image token: `<IMG_CONTEXT>`.
    package var context: String
    /// Closes a picture: `</img>`.
    package var end: String
    /// What else stands in front of what opens a picture and behind what closes it, where the first alone stands for a
    /// picture in texts; nil where it does not.
    package var surroundings: String?

    /// Whether a picture is announced by its number and stands on a line of its own: `Picture 1:<img></img>`.
    package var areNumbered: Bool

    /// InternVL's by default.
    package init(
        start: String = "<img>", context: String = "<IMG_CONTEXT>", end: String = "</img>",
        areNumbered: Bool = false, surroundings: String? = nil,
    ) {
        self.start = start
        self.context = context
        self.end = end
        self.areNumbered = areNumbered
        self.surroundings = surroundings
    }
}

extension VisionShape {
    /// Takes over `image_mean` and `image_std` where the preprocessor's configuration has them.
    mutating func readNormalisation(_ preprocessor: ConfigSection?) throws(CheckpointError) {
        guard let preprocessor else { return }
        if let mean = try preprocessor.doubles("image_mean", count: 3) { self.mean = mean.map(Float.init) }
        guard let deviation = try preprocessor.doubles("image_std", count: 3) else { return }
        guard deviation.allSatisfy({ $0 > 0 }) else {
            throw preprocessor.refusal("image_std", "must be above zero")
        }
        self.deviation = deviation.map(Float.init)
    }
}
