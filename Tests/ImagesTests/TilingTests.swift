import Testing

@testable import Images

/// InternVL's grids and tiles.
struct TilingTests {
    @Test func `grids are those of the published rule`() {
        #expect(ImageFixtures.tiling.count >= 900)
        for row in ImageFixtures.tiling {
            let options = TilingOptions(tileSize: row[4], minTiles: row[2], maxTiles: row[3])
            let plan = TilingPlan(width: row[0], height: row[1], options: options)
            #expect([plan.columns, plan.rows] == [row[5], row[6]], "\(row)")
            #expect(plan.tileCount == row[5] * row[6] + (row[5] * row[6] > 1 ? 1 : 0))
        }
    }

    @Test func `no thumbnail follows when none is wanted or one tile is all`() {
        let wide = TilingPlan(width: 896, height: 448, options: TilingOptions(useThumbnail: false))
        #expect(wide.tileCount == 2 && !wide.hasThumbnail)
        let square = TilingPlan(width: 448, height: 448, options: TilingOptions(maxTiles: 1))
        #expect(square.tileCount == 1 && !square.hasThumbnail)
    }

    @Test func `tiles are cut row by row and the thumbnail is last`() {
        let pixels = Pixels(width: 33, height: 21, bytes: ImageFixtures.noise(33 * 21 * 3, seed: 1))
        let plan = TilingPlan(width: 33, height: 21, options: TilingOptions(tileSize: 8, maxTiles: 6))
        #expect(plan.columns == 3 && plan.rows == 2)
        let tiles = ImageTiles(pixels, plan: plan)
        #expect(tiles.tileCount == 7 && tiles.bytes.count == 7 * 8 * 8 * 3)
        let grid = resize(pixels, toWidth: 24, height: 16, filter: .bicubic)
        for tile in 0..<6 {
            for y in 0..<8 {
                let source = ((tile / 3 * 8 + y) * 24 + tile % 3 * 8) * 3
                let target = (tile * 8 + y) * 8 * 3
                #expect(grid.bytes[source..<(source + 24)] == tiles.bytes[target..<(target + 24)])
            }
        }
        let thumbnail = resize(pixels, toWidth: 8, height: 8, filter: .bicubic)
        #expect(Array(tiles.bytes.suffix(8 * 8 * 3)) == thumbnail.bytes)
    }
}
