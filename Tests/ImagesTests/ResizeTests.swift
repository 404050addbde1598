import TestRandom
import Testing

@testable import Images

/// Resizing against Pillow 13, on noise, where the order of the passes shows.
struct ResizeTests {
    private func noise(_ width: Int, _ height: Int) -> Pixels {
        Pixels(width: width, height: height, bytes: ImageFixtures.noise(width * height * 3, seed: width))
    }

    @Test(arguments: ResizeFilter.allCases)
    func `sizes and filters give Pillow's bytes`(_ filter: ResizeFilter) {
        let rows = ImageFixtures.resizing.filter { $0[4].word == filter.rawValue }
        #expect(rows.count >= 60)
        for row in rows {
            let pixels = noise(row[0].number, row[1].number)
            let resized = resize(pixels, toWidth: row[2].number, height: row[3].number, filter: filter)
            let digest = SHA256.hexadecimal(SHA256.digest(of: resized.bytes))
            #expect(
                digest == row[5].word,
                "\(row[0].number)×\(row[1].number) → \(resized.width)×\(resized.height)")
        }
    }

    @Test(arguments: ResizeFilter.allCases)
    func `wide and portable loops agree`(_ filter: ResizeFilter) {
        var random = SeededRandom(seed: 5)
        for _ in 0..<60 {
            let sides = (0..<4).map { _ in Int.random(in: 1...90, using: &random) }
            let pixels = noise(sides[0], sides[1])
            let wide = NativeImageCode.resize(pixels, toWidth: sides[2], height: sides[3], filter: filter)
            let portable = NativeImageCode.resize(
                pixels, toWidth: sides[2], height: sides[3], filter: filter, portable: true)
            #expect(wide == portable, "\(sides)")
        }
    }

    @Test func `black and white stay what they are`() {
        for value: UInt8 in [0, 255] {
            let flat = Pixels(width: 37, height: 23, bytes: Array(repeating: value, count: 37 * 23 * 3))
            for filter in ResizeFilter.allCases {
                let resized = resize(flat, toWidth: 100, height: 9, filter: filter)
                #expect(resized.bytes.allSatisfy { $0 == value })
            }
        }
    }
}
