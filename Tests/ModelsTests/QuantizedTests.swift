import CPUBackend
import Foundation
import Tensors
import TestSupport
import Testing

@testable import Images
@testable import Models

/// Models whose text tower has weights in few bits.
@Suite struct QuantizedTests {
    @Test(arguments: Fixtures.models, [WeightFormat.int8, .int4])
    func `weights in few bits give logits close to the reference, for pictures too`(
        name: String, format: WeightFormat,
    ) throws {
        let driver = try FixtureModel.driver(name, as: .bf16, textFormat: format)
        var worst = 1.0
        for example in GoldenFile.of(name).cases {
            let sequence = try driver.sequence(for: example)
            let (logits, chosen) = try driver.answer(
                sequence, to: example.inputIds, inChunksOf: .max, count: 32)
            worst = min(worst, cosine(logits, Fixtures.floats(example.logits)))
            #expect(chosen.count == 32)
        }
        print("\(name): in \(format.name) the cosine to the reference's logits is at least \(worst)")
        // Random weights react to small changes.
        #expect(worst > (format == .int8 ? 0.97 : 0.5))
    }

    @Test(arguments: Fixtures.models.prefix(2))
    func `int8 weights are those of the text tower alone`(name: String) throws {
        let plain = try FixtureModel.driver(name, as: .bf16)
        let driver = try FixtureModel.driver(name, as: .bf16, textFormat: .int8)
        let example = try #require(GoldenFile.of(name).cases.first { $0.embeddings != nil })
        let (sequence, same) = (try driver.sequence(for: example), try plain.sequence(for: example))
        #expect(try driver.device.readFloats(sequence.images) == plain.device.readFloats(same.images))
        let logits = try driver.extend(sequence, by: example.inputIds)
        #expect(try plain.extend(same, by: example.inputIds) != logits)
    }

    @Test(.enabled(if: DemoModel.isThere), arguments: [WeightFormat.int8, .int4])
    func `weights in few bits change little of what the demo model says`(format: WeightFormat) throws {
        let plain = try DemoModel.driver(nil), driver = try DemoModel.driver(format)
        let cut = try #require(plain.model.description.vision?.cut)
        let pixels = try Fixtures.pixels("../../../DemoModel/sample.jpg")
        let plan = cut.plan(width: pixels.width, height: pixels.height)
        let picture = [49152] + [Int32](repeating: DemoModel.imageTokenID, count: plan.tokenCount) + [49153]
        var worst = 1.0, sum = 0.0, count = 0, same = 0
        for (prompt, pictures) in DemoModel.prompts.map({ ($0, []) })
            + [(DemoModel.question(after: picture), [ImageTiles(pixels, plan.cut)])]
        {
            let (sequence, quantized) = (
                try plain.sequence(showing: pictures), try driver.sequence(showing: pictures)
            )
            // Both go on with what the weights as they are choose.
            var next = prompt
            for _ in 0..<8 {
                let logits = try plain.extend(sequence, by: next),
                    ours = try driver.extend(quantized, by: next)
                let alike = cosine(logits, ours)
                (worst, sum, count) = (min(worst, alike), sum + alike, count + 1)
                next = [largest(logits)]
                same += largest(ours) == next[0] ? 1 : 0
            }
            plain.release(sequence)
            driver.release(quantized)
        }
        print(
            "demo: cosine in \(format.name) \(sum / Double(count)), at least \(worst); \(same) of \(count) tokens the same"
        )
        #expect(sum / Double(count) > (format == .int8 ? 0.998 : 0.8))
        #expect(same >= count * (format == .int8 ? 9 : 6) / 10)
    }
}

/// The demo model, where it has been assembled.
private enum DemoModel {
    static let folder = Fixtures.folder("../../../models/demo")
    static let isThere = FileManager.default.fileExists(atPath: "\(folder)/model.safetensors")
    static let imageTokenID: Int32 = 49154

    /// Questions in ChatML, and a text to go on with.
    static let prompts: [[Int32]] = [
        [1, 4093, 198, 1780, 314, 260, 3575, 282, 4649, 47, 2, 198, 1, 520, 9531, 198],
        [
            1, 4093, 198, 19161, 253, 1890, 1977, 563, 253, 33059, 40061, 617, 8284, 253, 4386, 281, 253,
            10765,
            28, 284, 1643, 732, 260, 4386, 1921, 30, 2, 198, 1, 520, 9531, 198,
        ],
        [
            1, 4093, 198, 36971, 732, 451, 1072, 42, 327, 2056, 281, 1845, 24, 33, 32, 727, 1628, 24, 89,
            1672,
            2056, 25, 2, 198, 1, 520, 9531, 198,
        ],
        [504, 1296, 2496, 282, 2631, 359, 4367, 28, 5553, 284, 2811, 30, 1550, 3908, 314, 12150, 357],
    ]

    /// The question what is in it, behind a picture.
    static func question(after picture: [Int32]) -> [Int32] {
        [1, 4093, 198] + picture + [198, 1780, 314, 281, 260, 4177, 47, 2, 198, 1, 520, 9531, 198]
    }

    static func driver(_ textFormat: WeightFormat?) throws -> PagedDriver {
        let description = try ModelFamilies.describe(folder), device = CPUDevice(threadCount: 2)
        let model = try ModelFamilies.load(
            folder: folder, description: description, device: device, elementType: .bf16,
            textFormat: textFormat, loaderThreads: 3)
        let driver = try PagedDriver(model, device: device, elementType: .bf16)
        driver.imageTokenID = imageTokenID
        return driver
    }
}

/// Where the largest of `logits` is.
private func largest(_ logits: [Float]) -> Int32 {
    var best = 0
    for (index, value) in logits.enumerated() where value > logits[best] { best = index }
    return Int32(best)
}

/// The cosine of the angle between two vectors.
private func cosine(_ a: [Float], _ b: [Float]) -> Double {
    var (product, first, second) = (0.0, 0.0, 0.0)
    for (x, y) in zip(a, b) {
        product += Double(x) * Double(y)
        first += Double(x) * Double(x)
        second += Double(y) * Double(y)
    }
    return product / (first * second).squareRoot()
}
