import Benchmarks
import Engine
import Images
import Models
import Tensors

/// What is told about a loaded model.
enum Summary {
    /// One line: sizes, type, caches.
    static func line(_ loaded: LoadedModel, _ engine: Replicas, _ model: ModelOptions) -> String {
        let description = loaded.description
        let statistics = engine.statisticsOfEach()[0]
        var parts = [
            "\(description.modelType) with \(description.textModelType)", weights(model),
            loaded.ranks.count > 1 ? "\(loaded.ranks.count) × \(loaded.device.name)" : loaded.device.name,
            "sequences up to \(engine.limits.maxSequenceLength) tokens",
            "\(statistics.totalPages * statistics.pageSize) tokens of cache",
        ]
        if engine.count > 1 { parts[2] = "\(engine.count) replicas, each on \(parts[2])" }
        if !loaded.links.isEmpty { parts.insert("on each of \(loaded.links.count + 1) machines", at: 3) }
        if loaded.loadedByteCount > 0 {
            let rate = Double(loaded.loadedByteCount) / 1e9 / max(loaded.loadSeconds, 1e-9)
            parts.append(
                "\(Text.bytes(loaded.loadedByteCount)) of weights in \(Text.seconds(loaded.loadSeconds)) ("
                    + "\(Decimals.two(rate)) GB/s)")
        }
        if description.vision != nil { parts.append("\(engine.limits.maxImages) cached pictures") }
        return parts.joined(separator: ", ")
    }

    /// What `vireo inspect` prints, one fact a line.
    static func lines(_ description: ModelDescription) -> [String] {
        let text = description.text
        var lines = [
            "model type          \(description.modelType)",
            "stored as           \(description.storedType.rawValue)",
            "text tower          \(description.textModelType): \(text.layerCount) layers, hidden \(text.hiddenSize), "
                + "MLP \(text.intermediateSize), \(text.heads.heads)/\(text.heads.keyValueHeads) heads of "
                + "\(text.heads.headDim)",
            "vocabulary          \(text.vocabularyCount)",
            "positions           \(text.maxPositions)",
            "cache per token     \(cacheBytesPerToken(text)) bytes (bf16)",
        ]
        if let vision = description.vision {
            lines += [
                "vision tower        \(vision.layerCount) layers, hidden \(vision.hiddenSize), \(vision.heads) heads, "
                    + "patch \(vision.patchSize)",
                "pictures            \(pictures(vision.cut))",
            ]
        }
        lines.append(
            "end tokens          \(description.generation.endIDs.map(String.init).joined(separator: ", "))")
        return lines
    }

    private static func weights(_ model: ModelOptions) -> String {
        let own = model.elementType.rawValue, text = model.textFormat.name
        return own == text ? own : "\(own) with \(text) weights in the text tower"
    }

    private static func pictures(_ cut: ImageCut) -> String {
        switch cut {
        case .tiles(let tiling, let tokensPerTile):
            "\(tiling.minTiles) to \(tiling.maxTiles) tiles of \(tiling.tileSize) pixels"
                + "\(tiling.useThumbnail ? " and a thumbnail" : ""), \(tokensPerTile) tokens each"
        case .patches(let patches):
            "at their own size, \(patches.minPixels) to \(patches.maxPixels) pixels, a token for "
                + "\(patches.tokenSize) × \(patches.tokenSize)"
        case .views(let views):
            "a view of \(views.viewSize) pixels, \(views.tokensPerView) tokens"
                + "\(views.resolutions.map { ", and tiles of \($0.sizes.count) sizes" } ?? "")"
        case .split(let split):
            "up to \(split.mostTiles) tiles of \(split.tileSize) pixels, that of the whole picture among them, "
                + "\(split.tokensPerTile) tokens each"
        }
    }

    private static func cacheBytesPerToken(_ text: TextShape) -> Int {
        2 * text.layerCount * text.heads.keyValueHeads * text.heads.headDim * ElementType.bf16.byteCount
    }
}

/// Numbers as text.
enum Text {
    /// Seconds with two places.
    static func seconds(_ value: Double) -> String { "\(Decimals.two(value)) s" }

    /// Bytes in the largest unit that leaves a whole number above nine.
    static func bytes(_ count: Int) -> String {
        for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] where count >> shift > 9 {
            return "\(count >> shift) \(unit)"
        }
        return "\(count) bytes"
    }
}
