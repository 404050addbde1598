/// The square tiles of a picture, ready for a vision tower's normalisation.
package struct ImageTiles: Sendable, Hashable {
    /// How many there are, with the thumbnail.
    package let tileCount: Int
    /// Side of a tile, in pixels.
    package let tileSize: Int
    /// Tile by tile, [tileCount, tileSize, tileSize, 3].
    package let bytes: [UInt8]

    /// Resizes `pixels` to the grid of `plan`, cuts it row by row, and adds the thumbnail if there is one.
    package init(_ pixels: Pixels, plan: TilingPlan, filter: ResizeFilter = .bicubic) {
        let size = plan.tileSize
        let grid = resize(pixels, toWidth: plan.columns * size, height: plan.rows * size, filter: filter)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(plan.tileCount * size * size * 3)
        for row in 0..<plan.rows {
            for column in 0..<plan.columns {
                for line in 0..<size {
                    let start = ((row * size + line) * grid.width + column * size) * 3
                    bytes += grid.bytes[start..<(start + size * 3)]
                }
            }
        }
        if plan.hasThumbnail {
            bytes += resize(pixels, toWidth: size, height: size, filter: filter).bytes
        }
        tileCount = plan.tileCount
        tileSize = size
        self.bytes = bytes
    }
}
