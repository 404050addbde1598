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

    /// The embeddings of a conversation's pictures, [tokens, hidden], are the reference's; answers how far they are apart at
    /// most, zero where there is no reference.
    func expectEmbeddings(_ all: [Float], of example: LlavaGoldenCase) -> Float {
        guard let expected = example.embeddings else { return 0 }
        #expect(all.count == example.images.reduce(0) { $0 + $1.tokens } * hiddenSize)
        let rows = example.embeddingRows ?? Array(0..<(all.count / hiddenSize))
        let ours = rows.flatMap { all[($0 * hiddenSize)..<(($0 + 1) * hiddenSize)] }
        let difference = largestDifference(ours, Fixtures.floats(expected))
        #expect(difference < 2e-4, "\(example.name)")
        return difference
    }
}
