import CPUBackend
import Tensors
import TestSupport
import Testing

@testable import Models

/// Models whose text tower has weights in 8 bits.
@Suite struct QuantizedTests {
    @Test(arguments: Fixtures.models)
    func `int8 weights give logits close to the reference, for pictures too`(name: String) throws {
        let driver = try FixtureModel.driver(name, as: .bf16, textFormat: .int8)
        var worst = 1.0
        for example in GoldenFile.of(name).cases {
            let sequence = try driver.sequence(for: example)
            let (logits, chosen) = try driver.answer(
                sequence, to: example.inputIds, inChunksOf: .max, count: 32)
            worst = min(worst, cosine(logits, Fixtures.floats(example.logits)))
            #expect(chosen.count == 32)
        }
        print("\(name): in int8 the cosine to the reference's logits is at least \(worst)")
        // Random weights react to small changes; one that was trained keeps above 0.999.
        #expect(worst > 0.97)
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
}

/// The cosine of the angle between two vectors.
func cosine(_ a: [Float], _ b: [Float]) -> Double {
    var (product, first, second) = (0.0, 0.0, 0.0)
    for (x, y) in zip(a, b) {
        product += Double(x) * Double(y)
        first += Double(x) * Double(x)
        second += Double(y) * Double(y)
    }
    return product / (first * second).squareRoot()
}
