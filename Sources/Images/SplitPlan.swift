/// How Idefics3 and SmolVLM take a picture: enlarged or shrunk to a longer side, brought to whole square tiles, cut, and seen as
/// a whole besides.
package struct SplitOptions: Sendable, Hashable {
    /// Side of a tile, in pixels.
    package var tileSize: Int
    /// Side of a patch, in pixels; what is left of a tile behind its last whole patch is not seen.
    package var patchSize: Int
    /// Patches along a side of the square that becomes one image token.
    package var mergeSize: Int
    /// What the longer side of every picture is brought to first, in pixels.
    package var longerSide: Int
    /// Whether pictures are cut; else each becomes one tile.
    package var splits: Bool
    /// How they are resized.
    package var filter: ResizeFilter

    /// Options of positive sizes.
    package init(
        tileSize: Int, patchSize: Int, mergeSize: Int, longerSide: Int, splits: Bool = true,
        filter: ResizeFilter = .lanczos,
    ) {
        self.tileSize = tileSize
        self.patchSize = patchSize
        self.mergeSize = mergeSize
        self.longerSide = longerSide
        self.splits = splits
        self.filter = filter
    }

    /// Side of what is seen of a tile, in pixels.
    package var usedSize: Int { tileSize / patchSize * patchSize }
    /// Image tokens a tile becomes.
    package var tokensPerTile: Int {
        let side = tileSize / patchSize / mergeSize
        return side * side
    }
    /// The most tiles of a picture: those of a square, as both of its sides are the longer one.
    package var mostTiles: Int { SplitPlan(width: 1, height: 1, options: self).tileCount }
}

/// The tiles of a picture of some size.
///
/// https://github.com/huggingface/transformers/blob/main/src/transformers/models/idefics3/image_processing_pil_idefics3.py
package struct SplitPlan: Sendable, Hashable {
    /// How the picture is taken.
    package let options: SplitOptions
    /// The size it is brought to first.
    package let width: Int
    package let height: Int
    /// Tiles beside and above one another; none of either for a picture that is one tile.
    package let columns: Int
    package let rows: Int

    /// No side is longer after the first resizing, in pixels.
    private static let longestSide = 4096

    /// Plans for a picture of `width` × `height` pixels, both above zero.
    package init(width: Int, height: Int, options: SplitOptions) {
        precondition(width > 0 && height > 0 && options.usedSize > 0, "sides are above zero")
        self.options = options
        var size = Size(width: width, height: height)
        size = size.scaled(toLonger: options.longerSide) { $0 + $0 % 2 }
        if size.longer > Self.longestSide { size = size.scaled(toLonger: Self.longestSide) { $0 } }
        (self.width, self.height) = (size.width, size.height)
        func tiles(_ pixels: Int) -> Int { (pixels + options.tileSize - 1) / options.tileSize }
        // The shorter side grows with the longer one before it is rounded up itself.
        let whole = size.scaled(toLonger: tiles(size.longer) * options.tileSize) { $0 }
        let isCut = options.splits && whole.longer > options.tileSize
        columns = isCut ? tiles(whole.width) : 0
        rows = isCut ? tiles(whole.height) : 0
    }

    /// All tiles, with that of the whole picture.
    package var tileCount: Int { columns * rows + 1 }
    /// How many image tokens the picture becomes.
    package var tokenCount: Int { tileCount * options.tokensPerTile }
    /// All that decides what the tower gets, apart from the picture.
    package var name: String {
        "split \(width)x\(height) in \(columns)x\(rows) of \(options.tileSize) in \(options.patchSize) "
            + options.filter.rawValue
    }

    /// Sides in pixels.
    private struct Size {
        var width: Int
        var height: Int

        var longer: Int { max(width, height) }

        /// The size whose longer side is `side`, of equal ones the width; the other is rounded down, then by `rule`.
        func scaled(toLonger side: Int, _ rule: (Int) -> Int) -> Size {
            let aspect = Double(width) / Double(height)
            // Safe: at most `side`.
            return width >= height
                ? Size(width: side, height: max(1, rule(Int(Double(side) / aspect))))
                : Size(width: max(1, rule(Int(Double(side) * aspect))), height: side)
        }
    }
}
