import Images
import Models
import Scheduling

/// A picture ready for a device.
enum PreparedPicture: Sendable {
    case tiles(ImageTiles)
    case picture(DeviceCut)

    /// Cut here unless `cutByDevice` says that the device may.
    init(_ picture: DecodedPicture, cutByDevice: Bool) {
        if cutByDevice, let cut = DeviceCut(picture) {
            self = .picture(cut)
        } else {
            self = .tiles(picture.tiles)
        }
    }
}

/// Tiles of one picture, or all its patches, on their way through the tower.
struct PictureTiles {
    let content: Content
    let size: Int
    /// The image tokens of a picture that goes through as a whole.
    let grid: TokenGrid?
    /// Where the embeddings go.
    let pages: [PageIndex]

    enum Content {
        /// u8 [n, size, size, 3].
        case tiles(ArraySlice<UInt8>)
        /// So many of a picture's squares, which a device cuts.
        case picture(DeviceCut, squares: Range<Int>)
    }

    /// What `step` takes of `made`; nil when that is not all there.
    init?(_ made: PreparedPicture, _ step: VisionStep) {
        let tileCount: Int
        switch made {
        case .tiles(let tiles): (tileCount, size, grid) = (tiles.tileCount, tiles.tileSize, tiles.grid)
        case .picture(let whole):
            let cut = whole.picture.cut
            (tileCount, size, grid) = (cut.squares.count, cut.side, cut.grid)
        }
        pages = step.pages
        let range = grid == nil ? step.tiles : 0..<tileCount
        guard tileCount >= range.upperBound else { return nil }
        switch made {
        case .tiles(let tiles): content = .tiles(tiles.bytes(of: range))
        case .picture(let whole): content = .picture(whole, squares: range)
        }
    }

    /// As much as can be in a step of at most `pageCount` pages, grey; a picture as a whole may take `mostPages`.
    ///
    /// Nil where no picture fits.
    init?(rehearsing cut: ImageCut, pageCount: Int, mostPages: Int) {
        let count: Int
        switch cut {
        case .tiles, .split:
            (count, grid, size) = (pageCount, nil, cut.tileSize)
            pages = (0..<PageIndex(pageCount)).map(\.self)
        case .views(let options):
            func pagesTaken(_ grid: ViewGrid) -> Int {
                (grid.tokenCount + cut.tokensPerPage - 1) / cut.tokensPerPage
            }
            let largest = options.fullGrids.filter { pagesTaken($0) <= mostPages }
                .max { $0.viewCount < $1.viewCount }
            if largest == nil, cut.isWhole { return nil }
            size = cut.tileSize
            grid = largest.map(TokenGrid.init)
            count = largest?.viewCount ?? pageCount
            pages = (0..<PageIndex(largest.map(pagesTaken) ?? pageCount)).map(\.self)
        case .patches(let options):
            let largest = min(options.maxTokens, mostPages * cut.tokensPerPage)
            let tokens = max(1, largest, pageCount * cut.tokensPerPage)
            let columns = max(1, Int(Double(tokens).squareRoot()))
            let grid = TokenGrid(rows: max(1, tokens / columns), columns: columns)
            count = grid.count * options.mergeSize * options.mergeSize
            (self.grid, size) = (grid, cut.tileSize)
            pages = (0..<PageIndex((grid.count + cut.tokensPerPage - 1) / cut.tokensPerPage)).map(\.self)
        }
        content = .tiles([UInt8](repeating: 127, count: count * Self.byteCount(ofSide: size))[...])
    }

    /// Takes all of it as it is.
    init(bytes: ArraySlice<UInt8>, size: Int, grid: TokenGrid?, pages: [PageIndex]) {
        content = .tiles(bytes)
        self.size = size
        self.grid = grid
        self.pages = pages
    }

    /// What one tower may take of it at the least: a tile, or the picture as a whole.
    func units() -> [PictureTiles] {
        guard grid == nil else { return [self] }
        let bytes = self.bytes, tileBytes = Self.byteCount(ofSide: size)
        return pages.enumerated().map { index, page in
            let start = bytes.startIndex + index * tileBytes
            return PictureTiles(
                bytes: bytes[start..<(start + tileBytes)], size: size, grid: nil, pages: [page])
        }
    }

    /// Bytes of a tile or patch.
    static func byteCount(ofSide size: Int) -> Int { size * size * 3 }

    /// u8 [n, size, size, 3]; a picture that was left to a device is cut here after all.
    var bytes: ArraySlice<UInt8> {
        switch content {
        case .tiles(let bytes): bytes
        case .picture(let whole, let squares): whole.picture.tiles.bytes(of: squares)
        }
    }

    /// Tiles or patches.
    var tileCount: Int {
        switch content {
        case .tiles(let bytes): bytes.count / Self.byteCount(ofSide: size)
        case .picture(_, let squares): squares.count
        }
    }

    /// Embeddings it becomes, with pages of `rows`.
    func tokenCount(rowsPerPage rows: Int) -> Int { grid?.count ?? pages.count * rows }
}
