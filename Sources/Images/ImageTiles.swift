/// The square tiles or patches of a picture, ready for a vision tower's normalisation.
package struct ImageTiles: Sendable, Hashable {
    /// How many there are, with the thumbnail.
    package let tileCount: Int
    /// Side of a tile, in pixels.
    package let tileSize: Int
    /// Tile by tile, [tileCount, tileSize, tileSize, 3].
    package let bytes: [UInt8]
    /// The image tokens of a picture that goes through the tower as a whole; nil for tiles, which do one by one.
    package let grid: TokenGrid?

    init(tileCount: Int, tileSize: Int, bytes: [UInt8], grid: TokenGrid?) {
        self.tileCount = tileCount
        self.tileSize = tileSize
        self.bytes = bytes
        self.grid = grid
    }

    /// Resizes `pixels` to the grid of `plan`, cuts it row by row, and adds the thumbnail if there is one.
    package init(_ pixels: Pixels, plan: TilingPlan, filter: ResizeFilter = .bicubic) {
        let size = plan.tileSize
        let image = resize(pixels, toWidth: plan.columns * size, height: plan.rows * size, filter: filter)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(plan.tileCount * size * size * 3)
        for row in 0..<plan.rows {
            for column in 0..<plan.columns {
                for line in 0..<size {
                    let start = ((row * size + line) * image.width + column * size) * 3
                    bytes += image.bytes[start..<(start + size * 3)]
                }
            }
        }
        if plan.hasThumbnail {
            bytes += resize(pixels, toWidth: size, height: size, filter: filter).bytes
        }
        tileCount = plan.tileCount
        tileSize = size
        self.bytes = bytes
        grid = nil
    }
}

extension ImageTiles {
    /// Resizes `pixels` and cuts them into patches: those of a token together, row by row, tokens in the tower's order.
    package init(_ pixels: Pixels, plan: PatchPlan, filter: ResizeFilter = .bicubic) {
        let (size, merge, grid) = (plan.options.patchSize, plan.options.mergeSize, plan.grid)
        let side = plan.options.tokenSize
        let image = resize(pixels, toWidth: grid.columns * side, height: grid.rows * side, filter: filter)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(image.bytes.count)
        for token in grid.order(window: plan.options.window).tokens {
            let (row, column) = (token / grid.columns, token % grid.columns)
            for patch in 0..<(merge * merge) {
                let top = row * side + patch / merge * size, left = column * side + patch % merge * size
                for line in top..<(top + size) {
                    let start = (line * image.width + left) * 3
                    bytes += image.bytes[start..<(start + size * 3)]
                }
            }
        }
        self.init(tileCount: grid.count * merge * merge, tileSize: size, bytes: bytes, grid: grid)
    }
}
