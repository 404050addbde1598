import Images
import Models
import Scheduling

/// Tiles of one picture, or all its patches, on their way through the tower.
struct PictureTiles {
    /// u8 [n, size, size, 3].
    let bytes: ArraySlice<UInt8>
    let size: Int
    /// The image tokens of a picture that goes through as a whole.
    let grid: TokenGrid?
    /// Where the embeddings go.
    let pages: [PageIndex]

    /// What `step` takes of `made`; nil when that is not all there.
    init?(_ made: ImageTiles, _ step: VisionStep) {
        size = made.tileSize
        grid = made.grid
        pages = step.pages
        if made.grid != nil {
            bytes = made.bytes[...]
            return
        }
        guard made.tileCount >= step.tiles.upperBound else { return nil }
        let tileBytes = Self.byteCount(ofSide: size)
        bytes = made.bytes[(step.tiles.lowerBound * tileBytes)..<(step.tiles.upperBound * tileBytes)]
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
        bytes = [UInt8](repeating: 127, count: count * Self.byteCount(ofSide: size))[...]
    }

    /// Takes all of it as it is.
    init(bytes: ArraySlice<UInt8>, size: Int, grid: TokenGrid?, pages: [PageIndex]) {
        self.bytes = bytes
        self.size = size
        self.grid = grid
        self.pages = pages
    }

    /// What one tower may take of it at the least: a tile, or the picture as a whole.
    func units() -> [PictureTiles] {
        guard grid == nil else { return [self] }
        let tileBytes = Self.byteCount(ofSide: size)
        return pages.enumerated().map { index, page in
            let start = bytes.startIndex + index * tileBytes
            return PictureTiles(
                bytes: bytes[start..<(start + tileBytes)], size: size, grid: nil, pages: [page])
        }
    }

    /// Bytes of a tile or patch.
    static func byteCount(ofSide size: Int) -> Int { size * size * 3 }

    /// Tiles or patches.
    var tileCount: Int { bytes.count / Self.byteCount(ofSide: size) }

    /// Embeddings it becomes, with pages of `rows`.
    func tokenCount(rowsPerPage rows: Int) -> Int { grid?.count ?? pages.count * rows }
}
