/// How a model wants its pictures cut.
package enum ImageCut: Sendable, Hashable {
    /// Into square tiles that go through the tower one by one, each becoming so many image tokens.
    case tiles(TilingOptions, tokensPerTile: Int)
    /// Into the patches of a picture that goes through the tower as a whole.
    case patches(PatchOptions)
    /// Into a square view; or that and tiles, which go through the tower together.
    case views(ViewOptions)
    /// Into square tiles and one of the whole picture, between whose image tokens there is text; they go through the tower
    /// one by one.
    case split(SplitOptions)

    /// Side of the squares a picture is cut into, in pixels.
    package var tileSize: Int {
        switch self {
        case .tiles(let options, _): options.tileSize
        case .patches(let options): options.patchSize
        case .views(let options): options.usedSize
        case .split(let options): options.usedSize
        }
    }

    /// Image tokens whose embeddings are kept together.
    package var tokensPerPage: Int {
        switch self {
        case .tiles(_, let count): count
        case .patches: 64
        case .views(let options): options.tokensPerView
        case .split(let options): options.tokensPerTile
        }
    }

    /// Pages of embeddings that the largest picture takes by default.
    package var mostPages: Int {
        switch self {
        case .tiles(let options, _): options.maxTiles + 1
        case .patches(let options): (options.maxTokens + tokensPerPage - 1) / tokensPerPage
        case .views(let options):
            (options.mostTokens + tokensPerPage - 1) / tokensPerPage
        case .split(let options): options.mostTiles
        }
    }

    /// Whether a picture goes through the tower as a whole.
    package var isWhole: Bool {
        switch self {
        case .tiles, .split: false
        case .patches: true
        case .views(let options): options.resolutions != nil
        }
    }

    /// Whether pictures go through the tower one at a time, as the number of their tokens does not tell that of their tiles.
    package var isAlone: Bool {
        if case .views = self { isWhole } else { false }
    }

    /// Whether a picture becomes tiles whose number can be bounded.
    package var hasTileLimit: Bool {
        if case .tiles = self { true } else { false }
    }

    /// Plans a picture of `width` × `height` pixels, both above zero; `maxTiles` overrides the cap on tiles.
    package func plan(width: Int, height: Int, maxTiles: Int? = nil) -> ImagePlan {
        switch self {
        case .tiles(var options, let tokensPerTile):
            if let maxTiles { options.maxTiles = maxTiles }
            return .tiles(
                TilingPlan(width: width, height: height, options: options), tokensPerTile: tokensPerTile)
        case .patches(let options):
            return .patches(PatchPlan(width: width, height: height, options: options))
        case .views(let options):
            return .views(ViewPlan(width: width, height: height, options: options))
        case .split(let options):
            return .split(SplitPlan(width: width, height: height, options: options))
        }
    }
}

/// What becomes of one picture.
package enum ImagePlan: Sendable, Hashable {
    case tiles(TilingPlan, tokensPerTile: Int)
    case patches(PatchPlan)
    case views(ViewPlan)
    case split(SplitPlan)

    /// How many image tokens it becomes.
    package var tokenCount: Int {
        switch self {
        case .tiles(let plan, let tokensPerTile): plan.tileCount * tokensPerTile
        case .patches(let plan): plan.grid.count
        case .views(let plan): plan.tokenCount
        case .split(let plan): plan.tokenCount
        }
    }

    /// Image tokens beside one another; nil where they have no places in two dimensions.
    package var columns: Int? {
        switch self {
        case .tiles, .views, .split: nil
        case .patches(let plan): plan.grid.columns
        }
    }

    /// All that decides what the tower gets, apart from the picture: equal texts mean equal tiles.
    package var name: String {
        switch self {
        case .tiles(let plan, _):
            "internvl \(plan.columns)x\(plan.rows) thumbnail \(plan.hasThumbnail) tile \(plan.tileSize)"
        case .patches(let plan):
            "patches \(plan.grid.columns)x\(plan.grid.rows) of \(plan.options.mergeSize)x\(plan.options.patchSize)"
        case .views(let plan): plan.name
        case .split(let plan): plan.name
        }
    }

    /// How the picture is resized and cut.
    package var cut: PictureCut {
        switch self {
        case .tiles(let plan, _): plan.cut
        case .patches(let plan): plan.cut
        case .views(let plan): plan.cut
        case .split(let plan): plan.cut
        }
    }
}
