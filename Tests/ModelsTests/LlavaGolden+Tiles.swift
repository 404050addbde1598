import Images
import TestSupport
import Testing

extension LlavaGoldenCase {
    /// The conversation's pictures, cut; none for a model without a tower.
    func tiles(_ cut: ImageCut?) throws -> [ImageTiles] {
        guard let cut else { return [] }
        return try images.map { image in
            let pixels = try Fixtures.pixels(image.file)
            return ImageTiles(pixels, cut.plan(width: pixels.width, height: pixels.height).cut)
        }
    }
}

extension LlavaGoldenFile {
    /// The tiles of a conversation's pictures are the reference's, byte for byte.
    func expectTiles(of example: LlavaGoldenCase, _ cut: ImageCut) throws {
        for (image, made) in zip(example.images, try example.tiles(cut)) {
            #expect(cut.plan(width: image.width, height: image.height).tokenCount == image.tokens)
            #expect(made.tileCount == image.tiles && made.tileSize == tile)
            #expect(SHA256.hexadecimal(SHA256.digest(of: made.bytes)) == image.tilesSha256, "\(image.file)")
        }
    }
}
