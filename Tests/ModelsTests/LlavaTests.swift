import Tensors
import TestSupport
import Testing

@testable import Images
@testable import Models

/// LLaVA against transformers in f32, on the reference's ids.
@Suite struct LlavaTests {
    private func sequence(_ golden: LlavaGoldenCase, _ driver: PagedDriver) throws -> PagedDriver.Sequence {
        let cut = try #require(driver.model.description.vision?.cut)
        return try driver.sequence(showing: golden.tiles(cut))
    }

    @Test(arguments: LlavaGoldenFile.models)
    func `the views of a picture are the reference's`(name: String) throws {
        let golden = try LlavaGoldenFile.of(name)
        let cut = try #require(ModelFamilies.describe(Fixtures.folder(name)).vision?.cut)
        #expect(cut.tileSize == golden.tile)
        for example in golden.cases { try golden.expectTiles(of: example, cut) }
    }

    @Test(arguments: LlavaGoldenFile.models)
    func `picture embeddings equal the reference, of several pictures at once`(name: String) throws {
        let driver = try FixtureModel.driver(name, as: .f32), golden = try LlavaGoldenFile.of(name)
        var largest: Float = 0
        for example in golden.cases where example.embeddings != nil {
            let all = try driver.device.readFloats(try sequence(example, driver).images)
            largest = max(largest, golden.expectEmbeddings(all, of: example))
        }
        print("\(name): embeddings differ by at most \(largest)")
    }

    @Test(arguments: LlavaGoldenFile.models)
    func `logits and 32 greedy tokens equal the reference, in chunks too`(name: String) throws {
        let driver = try FixtureModel.driver(name, as: .f32)
        driver.imageTokenID = 690
        var largest: Float = 0
        for example in try LlavaGoldenFile.of(name).cases {
            for chunk in [Int.max, 7] {
                let sequence = try sequence(example, driver)
                let (logits, chosen) = try driver.answer(
                    sequence, to: example.inputIds, inChunksOf: chunk, count: example.greedyIds.count)
                largest = max(largest, largestDifference(logits, Fixtures.floats(example.logits)))
                #expect(chosen == example.greedyIds, "\(name), \(example.name)")
            }
        }
        print("\(name): logits differ by at most \(largest)")
        #expect(largest < 2e-4)
    }
}
