package import Images

/// Sizes and settings of the vision tower, and how pictures become tokens.
package struct VisionShape: Sendable, Hashable {
    /// Layers that run; the checkpoint may have more behind them.
    package var layerCount: Int
    /// Width of the residual stream.
    package var hiddenSize: Int
    /// Attention heads.
    package var heads: Int
    /// How pictures are cut; `tileSize` is the side the tower takes.
    package var tiling: TilingOptions
    /// Side of a patch, in pixels.
    package var patchSize: Int
    /// Image tokens a tile becomes.
    package var tokensPerTile: Int
    /// What stands round the image tokens of a picture in the prompt, and for each of them.
    package var markers: ImageMarkers
    /// Width of the MLP.
    package var intermediateSize: Int
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

    /// Values ImageNet pictures are normalised by.
    package static let imageNetMean: [Float] = [0.485, 0.456, 0.406]
    /// Values ImageNet pictures are normalised by.
    package static let imageNetDeviation: [Float] = [0.229, 0.224, 0.225]

    /// Takes checked sizes.
    package init(
        layerCount: Int, hiddenSize: Int, heads: Int, tiling: TilingOptions, patchSize: Int,
        tokensPerTile: Int,
        markers: ImageMarkers, intermediateSize: Int = 0, norm: Norm = .layer(epsilon: 1e-6),
        hasQKVBias: Bool = true, queryKeyEpsilon: Float? = nil, mean: [Float] = imageNetMean,
        deviation: [Float] = imageNetDeviation, initializerRange: Float = 0.02,
    ) {
        self.layerCount = layerCount
        self.hiddenSize = hiddenSize
        self.heads = heads
        self.tiling = tiling
        self.patchSize = patchSize
        self.tokensPerTile = tokensPerTile
        self.markers = markers
        self.intermediateSize = intermediateSize
        self.norm = norm
        self.hasQKVBias = hasQKVBias
        self.queryKeyEpsilon = queryKeyEpsilon
        self.mean = mean
        self.deviation = deviation
        self.initializerRange = initializerRange
    }

    /// Patches along a side of a tile.
    var patchesPerSide: Int { tiling.tileSize / patchSize }
    /// Values a head has.
    package var headDim: Int { hiddenSize / heads }
    /// Values of the patches that become one image token, side by side.
    package var projectorInputs: Int { 4 * hiddenSize }
}

/// The special tokens of pictures in a prompt, by their text.
package struct ImageMarkers: Sendable, Hashable {
    /// Opens a picture: `<img>`.
    package var start: String
    /// Stands for one image token: `<IMG_CONTEXT>`.
    package var context: String
    /// Closes a picture: `</img>`.
    package var end: String

    /// InternVL's by default.
    package init(start: String = "<img>", context: String = "<IMG_CONTEXT>", end: String = "</img>") {
        self.start = start
        self.context = context
        self.end = end
    }
}
