import Images

/// Where the patches of several pictures stand, one picture after another, each in the tower's order.
struct PatchLayout {
    private let grids: [TokenGrid]
    /// Patches along a side of a token.
    private let merge: Int
    /// For each token in the tower's order its number among all, row by row in each picture.
    private(set) var tokens: [Int32] = []
    /// For each patch its row and its column in its picture.
    private(set) var rows: [Int32] = []
    private(set) var columns: [Int32] = []
    /// The first patch of each picture and of each window, then the number of all.
    private(set) var pictureStarts: [Int32] = [0]
    private(set) var windowStarts: [Int32] = [0]
    /// Patches of the largest.
    private(set) var longestPicture = 0
    private(set) var longestWindow = 0

    init(_ grids: [TokenGrid], _ patches: PatchOptions) {
        merge = patches.mergeSize
        self.grids = grids
        let joined = merge * merge
        for grid in grids {
            let first = Int32(tokens.count), order = grid.order(window: patches.window)
            for token in order.tokens {
                tokens.append(first + Int32(token))
                for patch in 0..<joined {
                    rows.append(Int32(token / grid.columns * merge + patch / merge))
                    columns.append(Int32(token % grid.columns * merge + patch % merge))
                }
            }
            for window in order.windows {
                windowStarts.append((windowStarts.last ?? 0) + Int32(window * joined))
                longestWindow = max(longestWindow, window * joined)
            }
            pictureStarts.append(Int32(tokens.count * joined))
            longestPicture = max(longestPicture, grid.count * joined)
        }
    }

    /// The weighted sums by which a square of `side` × `side` learned positions is stretched over each picture: for each
    /// patch four numbers of positions and their weights (bilinear, corners on corners).
    func interpolation(side: Int) -> (positions: [Int32], weights: [Float]) {
        var positions: [Int32] = [], weights: [Float] = []
        positions.reserveCapacity(4 * rows.count)
        weights.reserveCapacity(4 * rows.count)
        /// The position below `index` of `size`, the one above, and the weight of that.
        func place(_ index: Int32, of size: Int) -> (Int, Int, Float) {
            let exact = Float(index) * Float(side - 1) / Float(max(1, size - 1))
            let low = min(max(0, Int(exact.rounded(.down))), side - 1)
            return (low, min(low + 1, side - 1), exact - exact.rounded(.down))
        }
        for (grid, patches) in zip(grids, zip(pictureStarts, pictureStarts.dropFirst())) {
            for patch in Int(patches.0)..<Int(patches.1) {
                let (top, bottom, down) = place(rows[patch], of: grid.rows * merge)
                let (left, right, along) = place(columns[patch], of: grid.columns * merge)
                for (row, share) in [(top, 1 - down), (bottom, down)] {
                    positions += [Int32(row * side + left), Int32(row * side + right)]
                    weights += [share * (1 - along), share * along]
                }
            }
        }
        return (positions, weights)
    }

    /// For each token, row by row, where it is in the tower's order.
    var inverse: [Int32] {
        var inverse = [Int32](repeating: 0, count: tokens.count)
        // Safe: a permutation.
        for (place, token) in tokens.enumerated() { inverse[Int(token)] = Int32(place) }
        return inverse
    }
}
