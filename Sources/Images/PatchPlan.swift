/// How a picture becomes patches where the tower takes it at its own size; the defaults are Qwen2-VL's.
package struct PatchOptions: Sendable, Hashable {
    /// Side of a patch, in pixels.
    package var patchSize: Int
    /// Patches along a side of the square that becomes one image token.
    package var mergeSize: Int
    /// The fewest pixels after resizing.
    package var minPixels: Int
    /// The most pixels after resizing.
    package var maxPixels: Int
    /// Image tokens along a side of the windows that attention stays in; nil where it sees the whole picture.
    package var window: Int?

    /// Options of positive sizes.
    package init(
        patchSize: Int = 14, mergeSize: Int = 2, minPixels: Int = 56 * 56, maxPixels: Int = 28 * 28 * 1280,
        window: Int? = nil,
    ) {
        self.patchSize = patchSize
        self.mergeSize = mergeSize
        self.minPixels = minPixels
        self.maxPixels = maxPixels
        self.window = window
    }

    /// Side of the square of pixels that becomes one image token.
    package var tokenSize: Int { patchSize * mergeSize }
    /// More patches than there are along a side of any picture whose longer side is at most 200 times the shorter.
    package var longestSide: Int {
        // Safe: the bounds on pixels are far from overflow. A side that is rounded up gains less than half of it.
        Int((Double(maxPixels) * 400).squareRoot()) / patchSize + 2 * mergeSize
    }
    /// The most image tokens of a picture, but for what rounding adds to one that is very long.
    package var maxTokens: Int { max(1, maxPixels / (tokenSize * tokenSize)) }
}

/// The size a picture is brought to, and its grid of image tokens.
package struct PatchPlan: Sendable, Hashable {
    /// The grid of image tokens.
    package let grid: TokenGrid
    /// How the picture is cut.
    package let options: PatchOptions

    /// Plans for a picture of `width` × `height` pixels, both above zero.
    ///
    /// Sides are rounded to multiples of a token's, ties to even, and scaled where their product is out of bounds
    /// (Qwen2-VL's `smart_resize`):
    /// https://github.com/huggingface/transformers/blob/main/src/transformers/models/qwen2_vl/image_processing_qwen2_vl.py
    package init(width: Int, height: Int, options: PatchOptions) {
        precondition(width > 0 && height > 0 && options.tokenSize > 0, "sides are above zero")
        let side = Double(options.tokenSize), area = Double(width) * Double(height)
        /// Tokens along a side of so many pixels.
        func count(_ pixels: Int, times scale: Double, _ rule: FloatingPointRoundingRule) -> Int {
            // Safe: between zero and the side of a picture, or of the fewest pixels.
            Int((Double(pixels) * scale / side).rounded(rule))
        }
        var rows = count(height, times: 1, .toNearestOrEven)
        var columns = count(width, times: 1, .toNearestOrEven)
        let rounded = Double(rows) * Double(columns) * side * side
        if rounded > Double(options.maxPixels) {
            let scale = (area / Double(options.maxPixels)).squareRoot()
            rows = Int((Double(height) / scale / side).rounded(.down))
            columns = Int((Double(width) / scale / side).rounded(.down))
        } else if rounded < Double(options.minPixels) {
            let scale = (Double(options.minPixels) / area).squareRoot()
            rows = count(height, times: scale, .up)
            columns = count(width, times: scale, .up)
        }
        grid = TokenGrid(rows: max(1, rows), columns: max(1, columns))
        self.options = options
    }
}

/// Image tokens in rows and columns.
package struct TokenGrid: Sendable, Hashable {
    package let rows: Int
    package let columns: Int
    /// The views whose tokens these are, in one row; nil for a picture without views.
    package let views: ViewGrid?

    /// A grid of positive counts.
    package init(rows: Int, columns: Int) {
        precondition(rows > 0 && columns > 0, "a grid has tokens")
        self.rows = rows
        self.columns = columns
        views = nil
    }

    /// The tokens of `views`, in one row.
    package init(_ views: ViewGrid) {
        rows = 1
        columns = views.tokenCount
        self.views = views
    }

    /// How many there are.
    package var count: Int { rows * columns }

    /// The tokens in the order a tower with such windows takes them: window by window, row by row within each; with the
    /// number of tokens of each window.
    ///
    /// Tokens are numbered row by row. Without windows the picture is one.
    package func order(window: Int?) -> (tokens: [Int], windows: [Int]) {
        guard let window else { return (Array(0..<count), [count]) }
        var tokens: [Int] = []
        tokens.reserveCapacity(count)
        var windows: [Int] = []
        for top in stride(from: 0, to: rows, by: window) {
            for left in stride(from: 0, to: columns, by: window) {
                let (bottom, right) = (min(top + window, rows), min(left + window, columns))
                for row in top..<bottom { tokens += (row * columns + left)..<(row * columns + right) }
                windows.append((bottom - top) * (right - left))
            }
        }
        return (tokens, windows)
    }
}
