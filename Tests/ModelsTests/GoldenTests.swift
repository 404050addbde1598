import Images
import Tensors
import TestSupport
import Testing

@testable import Models

/// Our forward pass against transformers' in f32, on the reference's tiles and ids.
@Suite struct GoldenTests {
    @Test(arguments: Fixtures.models)
    func `picture embeddings equal the reference`(name: String) throws {
        let driver = try FixtureModel.driver(name, as: .f32)
        let golden = GoldenFile.of(name)
        var largest: Float = 0
        for example in golden.cases {
            guard let rows = example.embeddingRows, let expected = example.embeddings else { continue }
            let sequence = try driver.sequence(for: example)
            let all = try driver.device.readFloats(sequence.images)
            let perTile = try #require(driver.model.description.vision?.cut.tokensPerPage)
            let tileCount = all.count / perTile / golden.hiddenSize
            let ours = (0..<tileCount).flatMap { tile in
                rows.flatMap { row in
                    let start = (tile * perTile + row) * golden.hiddenSize
                    return all[start..<(start + golden.hiddenSize)]
                }
            }
            largest = max(largest, largestDifference(ours, Fixtures.floats(expected)))
        }
        print("\(name): embeddings differ by at most \(largest)")
        #expect(largest < 5e-4)
    }

    @Test(arguments: Fixtures.models)
    func `logits and 32 greedy tokens equal the reference`(name: String) throws {
        let driver = try FixtureModel.driver(name, as: .f32)
        var largest: Float = 0
        for example in GoldenFile.of(name).cases {
            let sequence = try driver.sequence(for: example)
            let (logits, chosen) = try driver.answer(
                sequence, to: example.inputIds, inChunksOf: .max, count: example.greedyIds.count)
            largest = max(largest, largestDifference(logits, Fixtures.floats(example.logits)))
            #expect(chosen == example.greedyIds, "\(name), \(example.name)")
        }
        print("\(name): logits differ by at most \(largest)")
        #expect(largest < 1e-3)
    }

    @Test(arguments: Fixtures.models)
    func `chunks that end within a picture give the same logits`(name: String) throws {
        let driver = try FixtureModel.driver(name, as: .f32)
        var largest: Float = 0
        for example in GoldenFile.of(name).cases {
            let sequence = try driver.sequence(for: example)
            var rest = example.inputIds[...]
            var logits: [Float] = []
            for size in [1, 7, 13, 2, 31].cycled where !rest.isEmpty {
                logits = try driver.extend(sequence, by: Array(rest.prefix(size)))
                rest = rest.dropFirst(size)
                if rest.isEmpty { break }
            }
            largest = max(largest, largestDifference(logits, Fixtures.floats(example.logits)))
            driver.release(sequence)
        }
        print("\(name): logits of chunked prompts differ by at most \(largest)")
        #expect(largest < 1e-3)
    }

    @Test(arguments: Fixtures.models)
    func `sequences in one batch do not see each other`(name: String) throws {
        let driver = try FixtureModel.driver(name, as: .f32)
        let cases = GoldenFile.of(name).cases.filter { $0.images.isEmpty || $0.name == "two-tiles" }
        var parts: [(sequence: PagedDriver.Sequence, ids: [Int32])] = []
        for example in cases { parts.append((try driver.sequence(for: example), example.inputIds)) }
        // A first pass over a different number of tokens of each, then the rest.
        let cuts = parts.indices.map { 5 + 11 * $0 }
        _ = try driver.extend(
            parts.indices.map { (parts[$0].sequence, Array(parts[$0].ids.prefix(cuts[$0]))) })
        let logits = try driver.extend(
            parts.indices.map { (parts[$0].sequence, Array(parts[$0].ids.dropFirst(cuts[$0]))) })
        for (example, row) in zip(cases, logits) {
            #expect(largestDifference(row, Fixtures.floats(example.logits)) < 1e-3, "\(example.name)")
        }
    }

    @Test(arguments: Fixtures.models)
    func `bf16 weights choose tokens close to the reference`(name: String) throws {
        let driver = try FixtureModel.driver(name, as: .bf16)
        var equalCount = 0
        var largest: Float = 0
        for example in GoldenFile.of(name).cases {
            let sequence = try driver.sequence(for: example)
            var logits = try driver.extend(sequence, by: example.inputIds)
            largest = max(largest, largestDifference(logits, Fixtures.floats(example.logits)))
            for (expected, step) in zip(example.greedyIds, example.steps) {
                let best = likeliest(5, of: logits)
                guard best[0] == expected else {
                    #expect(
                        best.contains(expected) && step.topIds.contains(best[0]), "\(name), \(example.name)")
                    break
                }
                equalCount += 1
                logits = try driver.extend(sequence, by: [expected])
            }
            driver.release(sequence)
        }
        print("\(name): in bf16 \(equalCount) greedy tokens equal; logits differ by at most \(largest)")
        #expect(largest < 1)
    }

    @Test(arguments: Fixtures.models)
    func `our tiles are the reference's within one step`(name: String) throws {
        let description = try ModelFamilies.describe(Fixtures.folder(name))
        for example in GoldenFile.of(name).cases {
            guard let reference = try example.tiles() else { continue }
            var options = try #require(description.vision?.tiling)
            options.minTiles = example.tiling.minTiles ?? options.minTiles
            options.maxTiles = example.tiling.maxTiles ?? options.maxTiles
            options.useThumbnail = example.tiling.thumbnail ?? options.useThumbnail
            var ours: [UInt8] = []
            for image in example.images {
                let pixels = try Fixtures.pixels(image.file)
                let plan = TilingPlan(width: pixels.width, height: pixels.height, options: options)
                #expect(plan.tileCount == image.tiles, "\(example.name)")
                ours += ImageTiles(pixels, plan: plan).bytes
            }
            #expect(
                largestDifference(ours.map(Float.init), reference.bytes.map(Float.init)) <= 1,
                "\(example.name)")
        }
    }
}

extension Array {
    /// The elements over and over.
    fileprivate var cycled: some Swift.Sequence<Element> {
        sequence(state: 0) { index -> Element? in
            defer { index += 1 }
            return self[index % count]
        }
    }
}
