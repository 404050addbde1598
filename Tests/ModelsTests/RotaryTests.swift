import CPUBackend
import Checkpoints
import JSON
import Tensors
import TestSupport
import Testing

@testable import Models

/// Scaled rotary embeddings against transformers', through the whole model.
@Suite struct RotaryTests {
    @Test(arguments: ["internvl-llama-hf", "internvl-llama-opengvlab"])
    func `every rotary scaling gives the reference's logits`(name: String) throws {
        let golden = GoldenFile.of(name)
        let ids = try #require(golden.ropeInputIds)
        let variations = try RotaryVariation.all()
        #expect(variations.count == 5)
        for variation in variations {
            let config = try ModelFiles(folder: Fixtures.folder(name)).config
            let key = name.hasSuffix("hf") ? "text_config" : "llm_config"
            var settings = config.settings
            var text = settings[key]?.object ?? [:]
            text.set("rope_parameters", .null)
            for (key, value) in variation.textConfig.members { text.set(key, value) }
            settings.set(key, .object(text))
            var description = try ModelFamilies.describe(
                ModelFiles(config: ConfigSection(file: "config.json", settings: settings)))
            // The reference turns the whole prompt as its length asks for.
            if case .dynamic(let factor, let trained, _) = description.text.rotary.scaling {
                description.text.rotary.scaling = .dynamic(
                    factor: factor, trained: trained, length: ids.count)
            }
            let driver = try FixtureModel.driver(name, description, as: .f32)
            let hidden = description.text.hiddenSize
            let sequence = PagedDriver.Sequence(images: try driver.device.makeTensor([1, hidden], .f32))
            let difference = largestDifference(
                try driver.extend(sequence, by: ids), Fixtures.floats(variation.logits))
            print("\(name), \(variation.name) RoPE: logits differ by at most \(difference)")
            #expect(difference < 1e-3, "\(variation.name)")
        }
    }

    @Test func `a dynamic table is plain up to the trained length and depends on the position alone`() throws
    {
        let device = CPUDevice(threadCount: 1)
        let plain = try RotaryShape().table(positions: 80, headDim: 16, device: device)
        let scaling = RotaryShape.Scaling.dynamic(factor: 2, trained: 64, length: nil)
        let short = try RotaryShape(scaling: scaling).table(positions: 80, headDim: 16, device: device)
        let long = try RotaryShape(scaling: scaling).table(positions: 128, headDim: 16, device: device)
        let rows = (
            plain: device.readFloats(plain.cosines), short: device.readFloats(short.cosines),
            long: device.readFloats(long.cosines),
        )
        #expect(Array(rows.plain[..<(64 * 8)]) == Array(rows.short[..<(64 * 8)]))
        #expect(Array(rows.plain[(64 * 8)...]) != Array(rows.short[(64 * 8)...]))
        #expect(rows.short == Array(rows.long[..<(80 * 8)]))
    }

    /// Scalings of configurations, and how far they reach.
    static let reaches: [(scaling: String, positions: Int)] = [
        ("null", 64), (#"{"rope_type": "default"}"#, 64), (#"{"type": "linear", "factor": 4.0}"#, 256),
        (#"{"type": "dynamic", "rope_type": "dynamic", "factor": 2.0}"#, 128),
        (#"{"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}"#, 128),
        (#"{"type": "yarn", "original_max_position_embeddings": 16}"#, 64),
        (#"{"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4}"#, 64),
    ]

    @Test(arguments: reaches)
    func `a scaling says how far it reaches`(scaling: String, positions: Int) throws {
        let text = #"{"max_position_embeddings": 64, "rope_scaling": \#(scaling)}"#
        let section = try ConfigSection.parse(Array(text.utf8), file: "config.json")
        #expect(try ConfiguredRotary(section).maxPositions == positions)
    }

    @Test(arguments: ["longrope", "su", "mrope"])
    func `another scaling is refused by name`(type: String) {
        let settings: JSONObject = [
            "max_position_embeddings": .int(64),
            "rope_scaling": .object(["type": .string(type)]),
        ]
        #expect {
            _ = try ConfiguredRotary(ConfigSection(file: "config.json", settings: settings))
        } throws: { "\($0)".contains("rope_scaling.type is \"\(type)\"") }
    }
}
