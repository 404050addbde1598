/// How a picture is cut for InternVL; the defaults are those of the published models.
package struct TilingOptions: Sendable, Hashable {
    /// Side of a square tile, in pixels.
    package var tileSize: Int
    /// Fewest tiles, without the thumbnail.
    package var minTiles: Int
    /// Most tiles, without the thumbnail.
    package var maxTiles: Int
    /// Whether the whole picture follows as one more tile when there is more than one.
    package var useThumbnail: Bool

    /// Options; `TilingPlan` takes a count below one as one, and a maximum below the minimum as the minimum.
    package init(tileSize: Int = 448, minTiles: Int = 1, maxTiles: Int = 12, useThumbnail: Bool = true) {
        self.tileSize = tileSize
        self.minTiles = minTiles
        self.maxTiles = maxTiles
        self.useThumbnail = useThumbnail
    }
}

/// The grid a picture of some size is cut into, by the rule of InternVL's `dynamic_preprocess`.
///
/// https://huggingface.co/OpenGVLab/InternVL2-8B#inference-with-transformers
package struct TilingPlan: Sendable, Hashable {
    /// Tiles beside one another.
    package let columns: Int
    /// Tiles above one another.
    package let rows: Int
    /// Whether the thumbnail follows.
    package let hasThumbnail: Bool
    /// Side of a tile, in pixels.
    package let tileSize: Int

    /// All tiles, with the thumbnail.
    package var tileCount: Int { columns * rows + (hasThumbnail ? 1 : 0) }

    /// Plans for a picture of `width` × `height` pixels, both above zero.
    ///
    /// Of the grids of min…max tiles, by growing number of tiles and then of columns, the one nearest in aspect ratio
    /// wins; a later grid of the same distance takes over when the picture has more than half of its pixels.
    package init(width: Int, height: Int, options: TilingOptions) {
        precondition(width > 0 && height > 0 && options.tileSize > 0, "sides are above zero")
        let least = max(1, options.minTiles)
        let most = max(least, options.maxTiles)
        let aspect = Double(width) / Double(height)
        let area = Double(width) * Double(height)
        var nearest = Double.infinity
        var best = (columns: 1, rows: 1)
        for count in least...most {
            for columns in 1...count where count.isMultiple(of: columns) {
                let rows = count / columns
                let distance = abs(aspect - Double(columns) / Double(rows))
                if distance < nearest {
                    nearest = distance
                    best = (columns, rows)
                } else if distance == nearest,
                    area > 0.5 * Double(options.tileSize) * Double(options.tileSize) * Double(count)
                {
                    best = (columns, rows)
                }
            }
        }
        columns = best.columns
        rows = best.rows
        hasThumbnail = options.useThumbnail && best.columns * best.rows > 1
        tileSize = options.tileSize
    }
}
