import TestRandom
import Testing

@testable import Images

@Suite struct PatchPlanTests {
    @Test(arguments: [
        // Width, height, columns, rows with 28 pixels a token, 3,136 to 37,632 of them: what transformers 5.23 gives.
        [14, 14, 2, 2], [42, 42, 2, 2], [1, 1, 2, 2], [70, 98, 2, 4], [126, 84, 4, 3], [10, 1000, 1, 20],
        [3000, 28, 71, 1], [50, 40, 3, 2], [1, 200, 1, 29], [400, 300, 8, 6], [4000, 20, 97, 1],
    ])
    func `sides are rounded and bounded as the reference does`(row: [Int]) {
        let options = PatchOptions(minPixels: 3136, maxPixels: 37_632)
        let plan = PatchPlan(width: row[0], height: row[1], options: options)
        #expect(plan.grid == TokenGrid(rows: row[3], columns: row[2]))
    }

    @Test(arguments: 0..<20) func `no side is longer than the table of positions`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        for _ in 0..<2000 {
            var options = PatchOptions(patchSize: 4 + random.below(60), mergeSize: 1 + random.below(8))
            let least = options.tokenSize * options.tokenSize
            options.maxPixels = least + random.below(1 << (4 + random.below(22)))
            options.minPixels = 1 + random.below(options.maxPixels)
            let short = 1 + random.below(1 << random.below(12)), long = short * (1 + random.below(200))
            for (width, height) in [(short, long), (long, short)] {
                let grid = PatchPlan(width: width, height: height, options: options).grid
                #expect(max(grid.rows, grid.columns) * options.mergeSize <= options.longestSide)
            }
        }
    }

    @Test func `tokens go window by window, each once`() {
        for (rows, columns, window) in [(1, 1, 2), (5, 7, 2), (4, 4, 4), (9, 3, 4), (6, 6, 100)] {
            let order = TokenGrid(rows: rows, columns: columns).order(window: window)
            #expect(order.tokens.sorted() == Array(0..<(rows * columns)))
            #expect(order.windows.reduce(0, +) == rows * columns)
            var next = 0
            for count in order.windows {
                let tokens = order.tokens[next..<(next + count)]
                let places = tokens.map { ($0 / columns / window, $0 % columns / window) }
                #expect(places.allSatisfy { $0 == places[0] } && tokens.elementsEqual(tokens.sorted()))
                next += count
            }
        }
        #expect(TokenGrid(rows: 2, columns: 3).order(window: nil) == ([0, 1, 2, 3, 4, 5], [6]))
    }
}
