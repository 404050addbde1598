import Checkpoints
import Images
import JSON
import Tensors

/// What the configurations of both InternVL layouts have in common.
enum InternVLConfig {
    /// The vision tower of `section`, with the settings whose keys differ already read.
    static func vision(
        _ section: ConfigSection, in root: ConfigSection, layerKey: String, hasQKVBias: Bool,
        queryKeyEpsilon: Float?, tiles: (least: Int, most: Int, thumbnail: Bool),
    ) throws(CheckpointError) -> VisionShape {
        let activation = try section.string("hidden_act", or: "gelu")
        guard activation == "gelu" else {
            throw section.refusal("hidden_act", "is \"\(activation)\", but only gelu is supported")
        }
        guard try section.int("num_channels", atMost: 3, or: 3) == 3 else {
            throw section.refusal("num_channels", "must be 3")
        }
        let hiddenSize = try section.int("hidden_size", atMost: 1 << 16)
        let heads = try section.int("num_attention_heads", atMost: 1 << 10)
        guard hiddenSize.isMultiple(of: heads) else {
            throw section.refusal(
                "num_attention_heads", "is \(heads), but must divide hidden_size, \(hiddenSize)")
        }
        let tileSize = try section.side("image_size", atMost: 1 << 13)
        let patchSize = try section.side("patch_size", atMost: 1 << 10)
        guard tileSize.isMultiple(of: 2 * patchSize) else {
            throw section.refusal(
                "image_size", "is \(tileSize), but must be a multiple of twice the patch_size, \(patchSize)")
        }
        guard try root.double("downsample_ratio", atLeast: 0, atMost: 1, or: 0.5) == 0.5 else {
            throw root.refusal("downsample_ratio", "must be 0.5")
        }
        let joinedPerSide = tileSize / patchSize / 2
        return VisionShape(
            layerCount: try layerCount(section, in: root, key: layerKey), hiddenSize: hiddenSize,
            heads: heads,
            cut: .tiles(
                TilingOptions(
                    tileSize: tileSize, minTiles: tiles.least, maxTiles: tiles.most,
                    useThumbnail: tiles.thumbnail),
                tokensPerTile: joinedPerSide * joinedPerSide),
            patchSize: patchSize, markers: ImageMarkers(),
            intermediateSize: try section.int("intermediate_size", atMost: 1 << 18), norm: try norm(section),
            hasQKVBias: hasQKVBias, queryKeyEpsilon: queryKeyEpsilon,
            initializerRange: Float(try section.double("initializer_range", atLeast: 0, atMost: 10, or: 0.02))
        )
    }

    /// The fewest and most tiles of a picture, by the keys of the layout.
    static func tiles(
        _ section: ConfigSection?, least: String, most: String,
    ) throws(CheckpointError) -> (least: Int, most: Int) {
        guard let section else { return (1, 12) }
        let fewest = try section.int(least, atMost: 256, or: 1)
        return (fewest, try section.int(most, atLeast: fewest, atMost: 256, or: max(fewest, 12)))
    }

    /// How many layers run: all for −1, all but k − 1 for −k, k for k.
    private static func layerCount(
        _ section: ConfigSection, in root: ConfigSection, key: String,
    ) throws(CheckpointError) -> Int {
        let count = try section.int("num_hidden_layers", atMost: 1 << 10)
        let chosen = try root.int(key, atLeast: -count, atMost: count, or: -1)
        let layers = chosen < 0 ? count + 1 + chosen : chosen
        guard layers > 0 else { throw root.refusal(key, "is \(chosen), before the first of \(count) layers") }
        return layers
    }

    private static func norm(_ section: ConfigSection) throws(CheckpointError) -> VisionShape.Norm {
        let epsilon = Float(try section.double("layer_norm_eps", atLeast: 0, atMost: 1, or: 1e-6))
        switch try section.string("norm_type", or: "layer_norm") {
        case "layer_norm": return .layer(epsilon: epsilon)
        case "rms_norm": return .rms(epsilon: epsilon)
        case let other:
            throw section.refusal("norm_type", "is \"\(other)\", but must be layer_norm or rms_norm")
        }
    }
}
