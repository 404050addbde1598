import Testing

@testable import Images

/// The tiles of Idefics3's and SmolVLM's pictures.
struct SplitPlanTests {
    private static let sizes: [String: (tile: Int, longer: Int)] = [
        "512 of 2048": (512, 2048), "384 of 1536": (384, 1536), "364 of 1456": (364, 1456),
        "512 of 512": (512, 512), "384 of 6000": (384, 6000), "65 of 65": (65, 65), "65 of 64": (65, 64),
    ]

    @Test func `pictures of many sizes are planned as the reference does`() throws {
        #expect(Set(ImageFixtures.splitPlans.keys) == Set(Self.sizes.keys))
        for (name, (tile, longer)) in Self.sizes {
            let options = SplitOptions(tileSize: tile, patchSize: 1, mergeSize: 1, longerSide: longer)
            let rows = try #require(ImageFixtures.splitPlans[name])
            #expect(rows.count == 150)
            for row in rows {
                let plan = SplitPlan(width: row[0], height: row[1], options: options)
                #expect([plan.width, plan.height] == [row[2], row[3]], "\(name) \(row)")
                #expect([plan.columns, plan.rows] == [row[4], row[5]], "\(name) \(row)")
                #expect(plan.tileCount <= options.mostTiles)
            }
        }
    }

    @Test func `the largest pictures of the published models have as many tokens as they should`() {
        func most(_ tile: Int, _ patch: Int, _ merge: Int, _ longer: Int) -> [Int] {
            let cut = ImageCut.split(
                SplitOptions(tileSize: tile, patchSize: patch, mergeSize: merge, longerSide: longer))
            return [cut.mostPages, cut.tokensPerPage, cut.plan(width: 900, height: 900).tokenCount]
        }
        #expect(most(512, 16, 4, 2048) == [17, 64, 1088])
        #expect(most(384, 14, 3, 1536) == [17, 81, 1377])
        #expect(most(364, 14, 2, 1456) == [17, 169, 2873])
        // No longer side is above 4096.
        #expect(most(512, 16, 4, 8192) == [65, 64, 4160])
    }

    @Test func `tiles go row by row, what stands behind whole patches is left out, the whole comes last`() {
        let pixels = Pixels(width: 23, height: 11, bytes: ImageFixtures.noise(23 * 11 * 3, seed: 4))
        let options = SplitOptions(tileSize: 9, patchSize: 4, mergeSize: 2, longerSide: 20)
        let plan = SplitPlan(width: 23, height: 11, options: options)
        // 20 × 9 is made even, then brought to three tiles by two.
        #expect([plan.width, plan.height, plan.columns, plan.rows] == [20, 10, 3, 2])
        let tiles = ImageTiles(pixels, plan: plan)
        #expect(tiles.tileCount == 7 && tiles.tileSize == 8 && tiles.grid == nil)
        let first = resize(pixels, toWidth: 20, height: 10, filter: .lanczos)
        let grid = resize(first, toWidth: 27, height: 18, filter: .lanczos)
        let whole = resize(grid, toWidth: 9, height: 9, filter: .lanczos)
        for tile in 0..<7 {
            let source = tile < 6 ? grid : whole
            let (left, top) = tile < 6 ? (tile % 3 * 9, tile / 3 * 9) : (0, 0)
            for y in 0..<8 {
                let at = ((tile * 8 + y) * 8) * 3, from = ((top + y) * source.width + left) * 3
                #expect(Array(tiles.bytes[at..<(at + 24)]) == Array(source.bytes[from..<(from + 24)]))
            }
        }
    }

    @Test func `a picture that is not cut is one tile`() {
        let pixels = Pixels(width: 23, height: 11, bytes: ImageFixtures.noise(23 * 11 * 3, seed: 4))
        for (longer, splits) in [(20, false), (8, true)] {
            let options = SplitOptions(
                tileSize: 9, patchSize: 4, mergeSize: 2, longerSide: longer, splits: splits)
            let plan = SplitPlan(width: 23, height: 11, options: options)
            #expect(plan.columns == 0 && plan.rows == 0 && plan.tokenCount == 1)
            let first = resize(pixels, toWidth: plan.width, height: plan.height, filter: .lanczos)
            let whole = resize(first, toWidth: 9, height: 9, filter: .lanczos)
            let expected = (0..<8).flatMap { whole.bytes[($0 * 27)..<($0 * 27 + 24)] }
            #expect(ImageTiles(pixels, plan: plan).bytes == expected)
        }
    }

    @Test func `whatever decides about the tiles is in the name of a plan`() {
        let options = SplitOptions(tileSize: 9, patchSize: 4, mergeSize: 2, longerSide: 20)
        let changes: [(inout SplitOptions) -> Void] = [
            { _ in }, { $0.tileSize = 10 }, { $0.patchSize = 2 }, { $0.longerSide = 22 },
            { $0.splits = false },
            { $0.filter = .bicubic },
        ]
        let names = changes.map { change in
            var changed = options
            change(&changed)
            return SplitPlan(width: 23, height: 11, options: changed).name
        }
        #expect(Set(names).count == changes.count)
        #expect(SplitPlan(width: 23, height: 20, options: options).name != names[0])
    }
}
