import Testing

@testable import Images

/// The views of LLaVA's pictures.
struct ViewPlanTests {
    private static let sides = (1...6).flatMap { rows in
        (1...6).map { AnyResolution.Size(rows: rows, columns: $0) }
    }
    /// What the published models have.
    private static let options = [
        "llava": ViewOptions(
            viewSize: 336, patchSize: 14, tokensPerView: 576, fit: .cropped(shorterSide: 336)),
        "llava_next": ViewOptions(
            viewSize: 336, patchSize: 14, tokensPerView: 576, fit: .stretched,
            resolutions: AnyResolution(
                sizes: [(1, 2), (2, 1), (2, 2), (3, 1), (1, 3)].map { .init(rows: $0, columns: $1) })),
        "llava_onevision": ViewOptions(
            viewSize: 384, patchSize: 14, tokensPerView: 729, fit: .stretched,
            resolutions: AnyResolution(sizes: sides, mostViews: 9)),
    ]

    @Test(arguments: options.keys.sorted())
    func `pictures of many sizes are planned as the reference does`(name: String) throws {
        let rows = try #require(ImageFixtures.viewPlans[name]), options = try #require(Self.options[name])
        #expect(rows.count == 400)
        for row in rows {
            let plan = ViewPlan(width: row[0], height: row[1], options: options)
            #expect([plan.width, plan.height] == [row[2], row[3]], "\(row)")
            #expect([plan.grid?.viewCount ?? 1, plan.tokenCount] == [row[4], row[5]], "\(row)")
            #expect(plan.tokenCount <= options.mostTokens)
            #expect(ImageCut.views(options).plan(width: row[0], height: row[1]).tokenCount == row[5])
            guard let grid = plan.grid else { continue }
            let (sources, weights) = grid.sources(first: 0, newline: 1 << 20)
            #expect(sources.count == 4 * row[5] && weights.count == 4 * row[5])
            #expect(sources.allSatisfy { $0 < grid.viewCount * 729 || $0 == 1 << 20 })
            #expect(sources.count { $0 == 1 << 20 } == grid.rows)
        }
    }

    @Test func `the largest pictures fill as many pages as are planned for`() {
        let pages = Self.options.mapValues { ImageCut.views($0).mostPages }
        #expect(pages == ["llava": 1, "llava_next": 6, "llava_onevision": 13])
    }

    @Test func `rows go across tiles, end with a newline, and padding is left out`() throws {
        let options = ViewOptions(
            viewSize: 6, patchSize: 2, tokensPerView: 9, fit: .stretched,
            resolutions: AnyResolution(sizes: [.init(rows: 1, columns: 2)]))
        // 12 × 2 pixels on 12 × 6: of three rows of tokens the middle one.
        let plan = ViewPlan(width: 24, height: 4, options: options)
        #expect(plan.width == 12 && plan.height == 2 && plan.tokenCount == 9 + 7)
        let (sources, weights) = try #require(plan.grid).sources(first: 100, newline: 5)
        let used = stride(from: 0, to: sources.count, by: 4).map { sources[$0] }
        #expect(used == Array(100..<109) + [112, 113, 114, 121, 122, 123, 5])
        #expect(weights.reduce(0, +) == 16)
        // So flat that no row of tokens is left.
        let flat = ViewPlan(
            width: 200, height: 1,
            options: ViewOptions(
                viewSize: 4, patchSize: 2, tokensPerView: 4, fit: .stretched,
                resolutions: AnyResolution(sizes: [.init(rows: 1, columns: 2)])))
        #expect(flat.grid?.rows == 0 && flat.tokenCount == 4)
    }

    @Test func `the view of a whole picture comes first, then tiles row by row, on black`() {
        let pixels = Pixels(width: 20, height: 6, bytes: ImageFixtures.noise(20 * 6 * 3, seed: 3))
        // The side is no whole number of patches.
        let options = ViewOptions(
            viewSize: 5, patchSize: 2, tokensPerView: 4, fit: .stretched,
            resolutions: AnyResolution(sizes: [.init(rows: 2, columns: 2)]))
        let plan = ViewPlan(width: 20, height: 6, options: options)
        #expect(plan.width == 10 && plan.height == 3)
        let tiles = ImageTiles(pixels, plan: plan)
        #expect(tiles.tileCount == 5 && tiles.tileSize == 4 && tiles.grid?.count == plan.tokenCount)
        let whole = resize(pixels, toWidth: 5, height: 5, filter: .bicubic)
        let shown = resize(pixels, toWidth: 10, height: 3, filter: .bicubic)
        for tile in 0..<5 {
            for y in 0..<4 {
                for x in 0..<4 {
                    let at = ((tile * 4 + y) * 4 + x) * 3, found = Array(tiles.bytes[at..<(at + 3)])
                    let row = (tile - 1) / 2 * 5 + y - 3, column = (tile - 1) % 2 * 5 + x
                    if tile == 0 {
                        #expect(found == Array(whole.bytes[((y * 5 + x) * 3)..<((y * 5 + x) * 3 + 3)]))
                    } else if (0..<3).contains(row) {
                        let source = (row * 10 + column) * 3
                        #expect(found == Array(shown.bytes[source..<(source + 3)]), "\(tile) \(x) \(y)")
                    } else {
                        #expect(found == [0, 0, 0], "\(tile) \(x) \(y)")
                    }
                }
            }
        }
    }
}
