import Checkpoints
import Tensors
import TestSupport
import Testing

@testable import Images
@testable import Models

/// Gemma 3 against transformers in f32, on the reference's ids.
@Suite struct Gemma3Tests {
    static let models = ["gemma3", "gemma3-heads", "gemma3-text"]
    private static let mark: Int32 = 811

    @Test(arguments: models)
    func `views and picture embeddings are the reference's`(name: String) throws {
        let driver = try FixtureModel.driver(name, as: .f32), golden = try LlavaGoldenFile.of(name)
        let cut = driver.model.description.vision?.cut
        var largest: Float = 0
        for example in golden.cases {
            let made = try example.tiles(cut)
            if let cut { try golden.expectTiles(of: example, cut) }
            guard let expected = example.embeddings else { continue }
            let all = try driver.device.readFloats(try driver.sequence(showing: made).images)
            let difference = largestDifference(all, Fixtures.floats(expected))
            #expect(difference < 2e-4, "\(example.name)")
            largest = max(largest, difference)
        }
        print("\(name): embeddings differ by at most \(largest)")
    }

    @Test(arguments: models)
    func `logits and 32 greedy tokens equal the reference, in chunks that cut no picture too`(
        name: String,
    ) throws {
        let driver = try FixtureModel.driver(name, as: .f32)
        driver.imageTokenID = Self.mark
        var largest: Float = 0
        for example in try LlavaGoldenFile.of(name).cases {
            for size in [Int.max, 7] {
                let sequence = try driver.sequence(
                    showing: example.tiles(driver.model.description.vision?.cut))
                var logits: [Float] = []
                for chunk in chunks(of: example.inputIds, size) {
                    logits = try driver.extend(sequence, by: chunk)
                }
                largest = max(largest, largestDifference(logits, Fixtures.floats(example.logits)))
                for (place, expected) in example.greedyIds.enumerated() {
                    let chosen = likeliest(1, of: logits)[0]
                    #expect(chosen == expected, "\(name), \(example.name), token \(place)")
                    guard chosen == expected else { break }
                    logits = try driver.extend(sequence, by: [expected])
                }
                driver.release(sequence)
            }
        }
        print("\(name): logits differ by at most \(largest)")
        #expect(largest < 2e-4)
    }

    /// `ids` in pieces of up to `size` tokens, but pictures whole.
    private func chunks(of ids: [Int32], _ size: Int) -> [[Int32]] {
        guard size < ids.count else { return [ids] }
        var chunks: [[Int32]] = [[]]
        for (index, id) in ids.enumerated() {
            let goesOn = id == Self.mark && index > 0 && ids[index - 1] == Self.mark
            if chunks[chunks.count - 1].count >= size, !goesOn { chunks.append([]) }
            chunks[chunks.count - 1].append(id)
        }
        return chunks
    }

    @Test func `a weight of a norm is one more than it is stored`() throws {
        let device = try FixtureModel.driver("gemma3-text", as: .f32).device
        let stored = try device.makeTensor([3], .bf16)
        device.write([UInt16(0x3f80), 0xbf80, 0x0000], to: stored)
        let sums = try device.load(try stored.adding(1), as: .f32)
        #expect(try device.readFloats(sums) == [2, 0, 1])
    }
}
