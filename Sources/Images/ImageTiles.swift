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

    /// Those of some tiles, [tiles.count, tileSize, tileSize, 3].
    package func bytes(of tiles: Range<Int>) -> ArraySlice<UInt8> {
        let tileBytes = tileSize * tileSize * 3
        return bytes[(tiles.lowerBound * tileBytes)..<(tiles.upperBound * tileBytes)]
    }

    /// Resizes and cuts `pixels` as `plan` says.
    package init(_ pixels: Pixels, plan: some PicturePlan) { self.init(pixels, plan.cut) }

    /// Resizes and cuts `pixels`.
    package init(_ pixels: Pixels, _ cut: PictureCut) {
        var images: [Pixels] = []
        for size in cut.sizes {
            images.append(
                resize(
                    size.source.map { images[$0] } ?? pixels, toWidth: size.width, height: size.height,
                    filter: cut.filter))
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(cut.squares.count * cut.side * cut.side * 3)
        for square in cut.squares { bytes.append(square, of: images[square.size], side: cut.side) }
        tileCount = cut.squares.count
        tileSize = cut.side
        self.bytes = bytes
        grid = cut.grid
    }
}

extension [UInt8] {
    /// Appends `square` of `image`, row by row, black where it reaches beyond.
    fileprivate mutating func append(_ square: PictureCut.Square, of image: Pixels, side: Int) {
        let columns = (square.left..<(square.left + side)).clamped(to: 0..<image.width)
        for row in square.top..<(square.top + side) {
            guard (0..<image.height).contains(row), !columns.isEmpty else {
                self += repeatElement(0, count: side * 3)
                continue
            }
            let start = row * image.width
            self += repeatElement(0, count: (columns.lowerBound - square.left) * 3)
            self += image.bytes[((start + columns.lowerBound) * 3)..<((start + columns.upperBound) * 3)]
            self += repeatElement(0, count: (square.left + side - columns.upperBound) * 3)
        }
    }
}
