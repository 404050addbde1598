import Tensors
import TestSupport
import Testing

@testable import Images
@testable import Models

/// SmolVLM2 and Idefics3 against transformers in f32, on the reference's ids.
@Suite struct Idefics3Tests {
    @Test(arguments: LlavaGoldenFile.splitting)
    func `the tiles of a picture are the reference's`(name: String) throws {
        let golden = try LlavaGoldenFile.of(name)
        let cut = try #require(ModelFamilies.describe(Fixtures.folder(name)).vision?.cut)
        #expect(cut.tileSize == golden.tile)
        for example in golden.cases { try golden.expectTiles(of: example, cut) }
    }

    @Test(arguments: LlavaGoldenFile.splitting)
    func `picture embeddings, logits and 32 greedy tokens equal the reference, in chunks too`(
        name: String,
    ) throws {
        let driver = try FixtureModel.driver(name, as: .f32), file = try LlavaGoldenFile.of(name)
        let cut = try #require(driver.model.description.vision?.cut)
        driver.imageTokenID = name == "smolvlm" ? 728 : 691
        var (largest, furthest): (Float, Float) = (0, 0)
        for example in file.cases {
            for chunk in [Int.max, 7] {
                let sequence = try driver.sequence(showing: example.tiles(cut))
                if example.embeddings != nil, chunk > 7 {
                    let all = try driver.device.readFloats(sequence.images)
                    furthest = max(furthest, file.expectEmbeddings(all, of: example))
                }
                let (logits, chosen) = try driver.answer(
                    sequence, to: example.inputIds, inChunksOf: chunk, count: example.greedyIds.count)
                largest = max(largest, largestDifference(logits, Fixtures.floats(example.logits)))
                #expect(chosen == example.greedyIds, "\(name), \(example.name)")
            }
        }
        print("\(name): embeddings differ by at most \(furthest), logits by \(largest)")
        #expect(largest < 2e-4)
    }
}
