import Tensors
import TestSupport
import Testing

@testable import Images
@testable import Models

/// Qwen2-VL, Qwen2.5-VL and Qwen3-VL against transformers in f32, on the reference's ids and positions.
@Suite struct QwenVLTests {
    private func pictures(_ golden: QwenGoldenCase, _ patches: PatchOptions) throws -> [ImageTiles] {
        try golden.images.map { image in
            let pixels = try Fixtures.pixels(image.file)
            return ImageTiles(
                pixels, plan: PatchPlan(width: pixels.width, height: pixels.height, options: patches))
        }
    }

    private func sequence(_ golden: QwenGoldenCase, _ driver: PagedDriver) throws -> PagedDriver.Sequence {
        guard case .patches(let patches) = driver.model.description.vision?.cut else {
            return try driver.sequence(showing: [])
        }
        return try driver.sequence(showing: pictures(golden, patches))
    }

    @Test(arguments: QwenGoldenFile.models)
    func `picture embeddings equal the reference, of several pictures at once`(name: String) throws {
        let driver = try FixtureModel.driver(name, as: .f32), golden = try QwenGoldenFile.of(name)
        var largest: Float = 0
        for example in golden.cases {
            guard let expected = example.embeddings else { continue }
            let all = try driver.device.readFloats(try sequence(example, driver).images)
            let width = golden.hiddenSize, planes = [expected] + (example.deepstack ?? [])
            #expect(driver.model.description.vision?.planeCount == planes.count)
            let rows = example.embeddingRows ?? Array(0..<(all.count / width / planes.count))
            for (plane, expected) in planes.enumerated() {
                let ours = rows.flatMap { row in
                    let start = (row * planes.count + plane) * width
                    return all[start..<(start + width)]
                }
                let difference = largestDifference(ours, Fixtures.floats(expected))
                #expect(difference < 2e-4, "\(example.name), plane \(plane)")
                largest = max(largest, difference)
            }
        }
        print("\(name): embeddings differ by at most \(largest)")
    }

    @Test(arguments: QwenGoldenFile.models)
    func `logits and 32 greedy tokens equal the reference, in chunks too`(name: String) throws {
        let driver = try FixtureModel.driver(name, as: .f32)
        driver.imageTokenID = 693
        var largest: Float = 0
        for example in try QwenGoldenFile.of(name).cases {
            for chunk in [Int.max, 7] {
                let sequence = try sequence(example, driver)
                let count = example.inputIds.count
                let next = (example.positions.compactMap { $0.max() }.max() ?? -1) + 1
                driver.places = { index in
                    index < count
                        ? example.positions.map { $0[index] }
                        : Array(repeating: next + Int32(index - count), count: 3)
                }
                let (logits, chosen) = try driver.answer(
                    sequence, to: example.inputIds, inChunksOf: chunk, count: example.greedyIds.count)
                largest = max(largest, largestDifference(logits, Fixtures.floats(example.logits)))
                #expect(chosen == example.greedyIds, "\(name), \(example.name)")
            }
        }
        print("\(name): logits differ by at most \(largest)")
        #expect(largest < 2e-4)
    }

    @Test(arguments: QwenGoldenFile.models)
    func `the configuration is read in every spelling`(name: String) throws {
        let golden = try QwenGoldenFile.of(name)
        let description = try ModelFamilies.describe(Fixtures.folder(name))
        let vision = try #require(description.vision), text = description.text
        guard case .patches(let patches) = vision.cut else {
            Issue.record("patches")
            return
        }
        #expect(patches.minPixels == golden.minPixels && patches.maxPixels == golden.maxPixels)
        #expect(patches.patchSize == golden.patch && text.hiddenSize == golden.hiddenSize)
        #expect(text.epsilon == 0.01 && text.tiesEmbeddings == (name == "qwen2-vl"))
        switch name {
        case "qwen2-vl":
            #expect(patches.window == nil && vision.activation == .gelu(.logistic))
            #expect(vision.hiddenSize == 32 && vision.intermediateSize == 128)
        case "qwen2_5-vl":
            #expect(patches.window == 2 && vision.wholeLayers == [1, 3] && vision.activation == .gatedSiLU)
            #expect(vision.hiddenSize == 48 && vision.intermediateSize == 84)
        default:
            #expect(patches.window == nil && vision.activation == .gelu(.tanh))
            #expect(
                vision.deepLayers == [0, 2] && vision.positionSide == 4 && vision.mean == [0.5, 0.5, 0.5])
        }
        let isThird = name.hasPrefix("qwen3-vl")
        #expect(text.rotary.sections == (isThird ? [4, 2, 2] : [2, 3, 3]))
        #expect(text.rotary.isInterleaved == isThird && (text.queryKeyEpsilon != nil) == isThird)
        #expect(text.biases == (isThird ? [] : .qkv))
        #expect(text.rotary.axes == (isThird ? [0, 1, 2, 0, 1, 2, 0, 0] : [0, 0, 1, 1, 1, 2, 2, 2]))
    }
}
