/// How LLaVA takes a picture: as one square view, or as a view of the whole and tiles of the size nearest to its own.
package struct ViewOptions: Sendable, Hashable {
    /// Side of a view, in pixels.
    package var viewSize: Int
    /// Side of a patch, in pixels; what is left of a view behind its last whole patch is not seen.
    package var patchSize: Int
    /// Image tokens a view becomes.
    package var tokensPerView: Int
    /// How a picture becomes a square.
    package var fit: Fit
    /// How it is resized.
    package var filter: ResizeFilter
    /// The sizes that tiles are cut from; nil for one view.
    package var resolutions: AnyResolution?

    /// The way to a square.
    package enum Fit: Sendable, Hashable {
        /// The shorter side is brought to so many pixels, at least a view's side, and the middle cut out.
        case cropped(shorterSide: Int)
        /// Both sides are brought to a view's side.
        case stretched
    }

    /// Options of positive sizes.
    package init(
        viewSize: Int, patchSize: Int, tokensPerView: Int, fit: Fit, filter: ResizeFilter = .bicubic,
        resolutions: AnyResolution? = nil,
    ) {
        self.viewSize = viewSize
        self.patchSize = patchSize
        self.tokensPerView = tokensPerView
        self.fit = fit
        self.filter = filter
        self.resolutions = resolutions
    }

    /// Patches along a side of a view.
    package var patchesPerSide: Int { viewSize / patchSize }
    /// Side of what is seen of a view, in pixels.
    package var usedSize: Int { patchesPerSide * patchSize }

    /// The most image tokens of a picture.
    package var mostTokens: Int {
        guard let resolutions else { return tokensPerView }
        let perView = patchesPerSide * patchesPerSide
        return resolutions.sizes.reduce(0) { most, size in
            var shown = size.rows * size.columns * perView
            // A grid that is less than 1.1 times too large along both sides stays as it is.
            if let views = resolutions.mostViews { shown = min(shown, views * perView * 121 / 100) }
            return max(most, perView + shown + size.rows * patchesPerSide)
        }
    }

    /// The grids of pictures that just fill their tiles, one a size; none for one view.
    package var fullGrids: [ViewGrid] {
        resolutions.map { resolutions in
            resolutions.sizes.map { size in
                ViewGrid(
                    width: size.columns, height: size.rows, size: size, side: patchesPerSide,
                    mostViews: resolutions.mostViews)
            }
        } ?? []
    }
}

/// The views of a picture of some size.
package struct ViewPlan: Sendable, Hashable {
    /// How the picture is taken.
    package let options: ViewOptions
    /// The size the picture is brought to before a square is cut from it.
    package let width: Int
    package let height: Int
    /// Where there are tiles, how they stand for the picture.
    package let grid: ViewGrid?

    /// Plans for a picture of `width` × `height` pixels, both above zero.
    package init(width: Int, height: Int, options: ViewOptions) {
        precondition(width > 0 && height > 0 && options.patchesPerSide > 0, "sides are above zero")
        self.options = options
        if let resolutions = options.resolutions {
            let size = resolutions.best(width: width, height: height, viewSize: options.viewSize)
            let across = size.columns * options.viewSize, down = size.rows * options.viewSize
            let scale = (Double(across) / Double(width), Double(down) / Double(height))
            // Safe: below the size of all tiles, but for a rounding.
            if scale.0 < scale.1 {
                self.width = across
                self.height = min(Int((Double(height) * scale.0).rounded(.up)), down)
            } else {
                self.width = min(Int((Double(width) * scale.1).rounded(.up)), across)
                self.height = down
            }
            grid = ViewGrid(
                width: width, height: height, size: size, side: options.patchesPerSide,
                mostViews: resolutions.mostViews)
            return
        }
        grid = nil
        switch options.fit {
        case .stretched:
            self.width = options.viewSize
            self.height = options.viewSize
        case .cropped(let side):
            // Safe: a picture's sides differ by a bounded factor, and double precision is exact for such products.
            let shorter = min(width, height)
            self.width = width == shorter ? side : Int(Double(side * width) / Double(shorter))
            self.height = height == shorter ? side : Int(Double(side * height) / Double(shorter))
        }
    }

    /// How many image tokens the picture becomes.
    package var tokenCount: Int { grid?.tokenCount ?? options.tokensPerView }
    /// All that decides what the tower gets, apart from the picture.
    package var name: String {
        let tiles = grid.map {
            "\($0.size.columns)x\($0.size.rows) showing \($0.shownColumns)x\($0.shownRows) as \($0.columns)x\($0.rows), "
        }
        return (tiles ?? "")
            + "view \(width)x\(height) of \(options.viewSize) in \(options.patchSize) \(options.filter.rawValue)"
    }
}

extension ImageTiles {
    /// Resizes `pixels` and cuts the view from their middle; or makes a view of them, and tiles of them on black.
    package init(_ pixels: Pixels, plan: ViewPlan) {
        let options = plan.options, side = options.usedSize
        let image = resize(pixels, toWidth: plan.width, height: plan.height, filter: options.filter)
        var bytes: [UInt8] = []
        if let grid = plan.grid {
            bytes.reserveCapacity(grid.viewCount * side * side * 3)
            let view = resize(
                pixels, toWidth: options.viewSize, height: options.viewSize, filter: options.filter)
            bytes.appendSquare(of: view, left: 0, top: 0, side: side)
            let canvas = image.onBlack(
                width: grid.size.columns * options.viewSize, height: grid.size.rows * options.viewSize)
            for row in 0..<grid.size.rows {
                for column in 0..<grid.size.columns {
                    bytes.appendSquare(
                        of: canvas, left: column * options.viewSize, top: row * options.viewSize, side: side)
                }
            }
            self.init(
                tileCount: grid.viewCount, tileSize: side, bytes: bytes, grid: TokenGrid(grid))
            return
        }
        bytes.reserveCapacity(side * side * 3)
        bytes.appendSquare(
            of: image, left: (plan.width - options.viewSize) / 2, top: (plan.height - options.viewSize) / 2,
            side: side)
        self.init(tileCount: 1, tileSize: side, bytes: bytes, grid: nil)
    }
}

extension Pixels {
    /// The picture in the middle of a black one that is at least as large.
    fileprivate func onBlack(width: Int, height: Int) -> Pixels {
        let left = (width - self.width) / 2, top = (height - self.height) / 2
        var canvas = [UInt8](repeating: 0, count: width * height * 3)
        for row in 0..<self.height {
            let target = ((top + row) * width + left) * 3, source = row * self.width * 3
            canvas.replaceSubrange(
                target..<(target + self.width * 3), with: bytes[source..<(source + self.width * 3)])
        }
        return Pixels(width: width, height: height, bytes: canvas)
    }
}

extension [UInt8] {
    /// Appends the square of `side` pixels at a place within `image`, row by row.
    mutating func appendSquare(of image: Pixels, left: Int, top: Int, side: Int) {
        for row in top..<(top + side) {
            let start = (row * image.width + left) * 3
            self += image.bytes[start..<(start + side * 3)]
        }
    }
}
