/// The sizes a picture is brought to, and the squares a tower takes of these.
package struct PictureCut: Sendable, Hashable {
    /// Sizes in pixels, one at least.
    package let sizes: [Size]
    /// How the picture is brought to them.
    package let filter: ResizeFilter
    /// Side of a square, in pixels.
    package let side: Int
    /// In the order in which the tower takes them.
    package let squares: [Square]
    /// The image tokens of a picture that goes through the tower as a whole.
    package let grid: TokenGrid?

    /// Sides above zero, in pixels.
    package struct Size: Sendable, Hashable {
        package let width: Int
        package let height: Int
        /// Which of the sizes before it the picture is brought from; nil for its own.
        package let source: Int?

        init(width: Int, height: Int, from source: Int? = nil) {
            self.width = width
            self.height = height
            self.source = source
        }
    }

    /// Where a square lies; what is beyond the picture is black.
    package struct Square: Sendable, Hashable {
        /// Which of the sizes it is taken of.
        package let size: Int
        /// Its upper left corner, in pixels.
        package let left: Int
        package let top: Int
    }
}

/// What becomes of a picture of some size.
package protocol PicturePlan {
    /// How it is resized and cut.
    var cut: PictureCut { get }
}

extension TilingPlan: PicturePlan {
    /// The grid row by row, then the thumbnail if there is one.
    package var cut: PictureCut {
        var sizes = [PictureCut.Size(width: columns * tileSize, height: rows * tileSize)]
        var squares = (0..<(rows * columns)).map {
            PictureCut.Square(size: 0, left: $0 % columns * tileSize, top: $0 / columns * tileSize)
        }
        if hasThumbnail {
            sizes.append(.init(width: tileSize, height: tileSize))
            squares.append(.init(size: 1, left: 0, top: 0))
        }
        return PictureCut(sizes: sizes, filter: .bicubic, side: tileSize, squares: squares, grid: nil)
    }
}

extension PatchPlan: PicturePlan {
    /// The patches of a token together, row by row, tokens in the tower's order.
    package var cut: PictureCut {
        let (size, merge, side) = (options.patchSize, options.mergeSize, options.tokenSize)
        let squares = grid.order(window: options.window).tokens.flatMap { token in
            (0..<(merge * merge)).map { patch in
                PictureCut.Square(
                    size: 0, left: token % grid.columns * side + patch % merge * size,
                    top: token / grid.columns * side + patch / merge * size)
            }
        }
        return PictureCut(
            sizes: [.init(width: grid.columns * side, height: grid.rows * side)], filter: .bicubic,
            side: size,
            squares: squares, grid: grid)
    }
}

extension ViewPlan: PicturePlan {
    /// The view from the middle of the picture; or a view of the whole, then tiles row by row, the picture in their middle.
    package var cut: PictureCut {
        let view = options.viewSize, resized = PictureCut.Size(width: width, height: height)
        guard let grid else {
            return PictureCut(
                sizes: [resized], filter: options.filter, side: options.usedSize,
                squares: [.init(size: 0, left: (width - view) / 2, top: (height - view) / 2)], grid: nil)
        }
        let (columns, rows) = (grid.size.columns, grid.size.rows)
        let left = (columns * view - width) / 2, top = (rows * view - height) / 2
        return PictureCut(
            sizes: [.init(width: view, height: view), resized], filter: options.filter,
            side: options.usedSize,
            squares: [.init(size: 0, left: 0, top: 0)]
                + (0..<(rows * columns)).map {
                    .init(size: 1, left: $0 % columns * view - left, top: $0 / columns * view - top)
                },
            grid: TokenGrid(grid))
    }
}

extension SplitPlan: PicturePlan {
    /// Tiles row by row, then one of the whole picture, made of what was brought to whole tiles.
    package var cut: PictureCut {
        let tile = options.tileSize
        var sizes = [PictureCut.Size(width: width, height: height)]
        if columns > 0 { sizes.append(.init(width: columns * tile, height: rows * tile, from: 0)) }
        sizes.append(.init(width: tile, height: tile, from: sizes.count - 1))
        let squares = (0..<(rows * columns)).map {
            PictureCut.Square(size: 1, left: $0 % columns * tile, top: $0 / columns * tile)
        }
        return PictureCut(
            sizes: sizes, filter: options.filter, side: options.usedSize,
            squares: squares + [.init(size: sizes.count - 1, left: 0, top: 0)], grid: nil)
    }
}
