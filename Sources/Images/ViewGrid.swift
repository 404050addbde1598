/// The sizes LLaVA-NeXT brings a picture to, of which each takes the one that keeps most of it.
package struct AnyResolution: Sendable, Hashable {
    /// Sizes in views, in the order of the configuration; at least one.
    package var sizes: [Size]
    /// What the tokens of the tiles are brought down to where they are many, in views; nil for no bound.
    package var mostViews: Int?

    /// Rows and columns of views, both above zero.
    package struct Size: Sendable, Hashable {
        package let rows: Int
        package let columns: Int

        /// A size of positive counts.
        package init(rows: Int, columns: Int) {
            self.rows = rows
            self.columns = columns
        }
    }

    /// Options of at least one size.
    package init(sizes: [Size], mostViews: Int? = nil) {
        precondition(sizes.allSatisfy { $0.rows > 0 && $0.columns > 0 } && !sizes.isEmpty, "sizes of views")
        self.sizes = sizes
        self.mostViews = mostViews
    }

    /// The size for a picture of `width` × `height` pixels: the one that keeps most of its pixels, of equal ones the smallest.
    ///
    /// https://github.com/huggingface/transformers/blob/main/src/transformers/image_processing_utils.py
    func best(width: Int, height: Int, viewSize: Int) -> Size {
        let (wide, high) = (Double(width), Double(height))
        var best = sizes[0]
        var most = 0.0, least = Double.infinity
        for size in sizes {
            let across = Double(size.columns * viewSize), down = Double(size.rows * viewSize)
            let scale = min(across / wide, down / high)
            let kept = min((wide * scale).rounded(.down) * (high * scale).rounded(.down), wide * high)
            let wasted = across * down - kept
            if kept > most || kept == most && wasted < least {
                (best, most, least) = (size, kept, wasted)
            }
        }
        return best
    }
}

/// How the tokens of a picture's views stand for it: those of the whole picture in one view, then those of its tiles, row by
/// row across all tiles, without those of padding, a newline behind each row.
package struct ViewGrid: Sendable, Hashable {
    /// Tiles above and beside one another.
    package let size: AnyResolution.Size
    /// Tokens along a side of a view.
    package let side: Int
    /// Rows and columns of tokens that show the picture, in the middle of those of all tiles.
    package let shownRows: Int
    package let shownColumns: Int
    /// The rows and columns that these are brought down to; as many where they are few.
    package let rows: Int
    package let columns: Int

    /// The grid of a picture of `width` × `height` pixels, both above zero, in tiles of `size`.
    init(width: Int, height: Int, size: AnyResolution.Size, side: Int, mostViews: Int?) {
        self.size = size
        self.side = side
        var (rows, columns) = (size.rows * side, size.columns * side)
        let (wide, high) = (Double(width), Double(height))
        /// What is left of `all` tokens when `shown` are, and as many are taken from both ends.
        func left(_ all: Int, shown: Double) -> Int {
            // To seven decimals, as the reference does. Safe: below the number of tokens.
            let count = Int((shown * 1e7).rounded(.toNearestOrEven) / 1e7)
            return all - max(0, all - count) / 2 * 2
        }
        if wide / high > Double(columns) / Double(rows) {
            rows = left(rows, shown: high * (Double(columns) / wide))
        } else {
            columns = left(columns, shown: wide * (Double(rows) / high))
        }
        (shownRows, shownColumns) = (rows, columns)
        if let mostViews {
            let ratio = (Double(rows * columns) / Double(mostViews * side * side)).squareRoot()
            if ratio > 1.1 {
                // Exactly: the rounded quotient may be a whole number that the exact one just misses.
                func quotient(_ count: Int) -> Int {
                    let rest = Double(count).truncatingRemainder(dividingBy: ratio)
                    return Int(((Double(count) - rest) / ratio).rounded())
                }
                (rows, columns) = (quotient(rows), quotient(columns))
            }
        }
        (self.rows, self.columns) = (rows, columns)
    }

    /// Views, the one of the whole picture with them.
    package var viewCount: Int { 1 + size.rows * size.columns }
    /// Image tokens, newlines with them.
    package var tokenCount: Int { side * side + rows * (columns + 1) }

    /// For each image token the tokens of the views whose weighted sum it is, four each.
    ///
    /// Those of the first view are from `first` on, and of the others behind them; below zero is none. A newline is
    /// `newline`.
    package func sources(first: Int, newline: Int) -> (rows: [Int32], weights: [Float]) {
        var sources: [Int32] = [], weights: [Float] = []
        sources.reserveCapacity(4 * tokenCount)
        weights.reserveCapacity(4 * tokenCount)
        func append(_ row: Int) {
            sources += [Int32(row), -1, -1, -1]
            weights += [1, 0, 0, 0]
        }
        for token in 0..<(side * side) { append(first + token) }
        let top = (size.rows * side - shownRows) / 2, left = (size.columns * side - shownColumns) / 2
        /// The token of a tile that is at a place of the shown ones.
        func token(_ row: Int, _ column: Int) -> Int {
            let (y, x) = (top + row, left + column)
            let tile = y / side * size.columns + x / side
            return first + (1 + tile) * side * side + y % side * side + x % side
        }
        for row in 0..<rows {
            for column in 0..<columns {
                guard rows != shownRows || columns != shownColumns else {
                    append(token(row, column))
                    continue
                }
                let (above, below, down) = Self.neighbours(row, of: rows, among: shownRows)
                let (before, behind, along) = Self.neighbours(column, of: columns, among: shownColumns)
                for (y, share) in [(above, 1 - down), (below, down)] {
                    sources += [Int32(token(y, before)), Int32(token(y, behind))]
                    weights += [share * (1 - along), share * along]
                }
            }
            append(newline)
        }
        return (sources, weights)
    }

    /// Where place `index` of `count` lies among `all` (pixel centres on a line of the same length): the place before, the one
    /// behind, and the weight of that.
    private static func neighbours(_ index: Int, of count: Int, among all: Int) -> (Int, Int, Float) {
        let exact = max(0, (Float(index) + 0.5) * (Float(all) / Float(count)) - 0.5)
        let before = min(Int(exact), all - 1)
        return (before, min(before + 1, all - 1), exact - Float(before))
    }
}
