/// How LLaVA takes a picture: as one square view.
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
    ) {
        self.viewSize = viewSize
        self.patchSize = patchSize
        self.tokensPerView = tokensPerView
        self.fit = fit
        self.filter = filter
    }

    /// Patches along a side of a view.
    package var patchesPerSide: Int { viewSize / patchSize }
    /// Side of what is seen of a view, in pixels.
    package var usedSize: Int { patchesPerSide * patchSize }
}

/// The views of a picture of some size.
package struct ViewPlan: Sendable, Hashable {
    /// How the picture is taken.
    package let options: ViewOptions
    /// The size the picture is brought to before a square is cut from it.
    package let width: Int
    package let height: Int

    /// Plans for a picture of `width` × `height` pixels, both above zero.
    package init(width: Int, height: Int, options: ViewOptions) {
        precondition(width > 0 && height > 0 && options.patchesPerSide > 0, "sides are above zero")
        self.options = options
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
    package var tokenCount: Int { options.tokensPerView }
    /// All that decides what the tower gets, apart from the picture.
    package var name: String {
        "view \(width)x\(height) of \(options.viewSize) in \(options.patchSize) \(options.filter.rawValue)"
    }
}

extension ImageTiles {
    /// Resizes `pixels` and cuts the view from their middle.
    package init(_ pixels: Pixels, plan: ViewPlan) {
        let options = plan.options, side = options.usedSize
        let image = resize(pixels, toWidth: plan.width, height: plan.height, filter: options.filter)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(side * side * 3)
        bytes.appendSquare(
            of: image, left: (plan.width - options.viewSize) / 2, top: (plan.height - options.viewSize) / 2,
            side: side)
        self.init(tileCount: 1, tileSize: side, bytes: bytes, grid: nil)
    }
}

extension [UInt8] {
    /// Appends the square of `side` pixels at a place within `image`, row by row.
    fileprivate mutating func appendSquare(of image: Pixels, left: Int, top: Int, side: Int) {
        for row in top..<(top + side) {
            let start = (row * image.width + left) * 3
            self += image.bytes[start..<(start + side * 3)]
        }
    }
}
