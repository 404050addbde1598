import CPUBackend
import Checkpoints
import JSON
import Tensors
import TestSupport
import Testing

@testable import Models

/// Text towers: what each kind's configuration means, and that both layouts of InternVL take every kind.
@Suite struct TowerTests {
    /// The fixture's configuration with `changes` of its text part; a null removes a setting.
    private static func describe(
        _ name: String, _ changes: [String: JSONValue],
    ) throws -> ModelDescription {
        let changes = changes.map { ("text_config.\($0)", $1) }
        return try ModelFamilies.describe(
            DescribeTests.files(name, Dictionary(uniqueKeysWithValues: changes)))
    }

    @Test func `what the kinds have of their own is read`() throws {
        let qwen3 = try Self.describe("internvl-qwen3-hf", [:]).text
        #expect(qwen3.queryKeyEpsilon == 0.01 && qwen3.biases == [] && qwen3.heads.headDim == 16)
        #expect(
            try Self.describe("internvl-qwen3-hf", ["attention_bias": .bool(true)]).text.biases == [
                .qkv, .output,
            ])
        #expect(try Self.describe("internvl-qwen3-hf", ["head_dim": .null]).text.heads.headDim == 128)
        let phi3 = try Self.describe("internvl-phi3-hf", [:]).text
        #expect(phi3.rotary.fraction == 0.6 && phi3.rotary.pairCount(headDim: 20) == 6)
        #expect(phi3.names == .phi3 && phi3.queryKeyEpsilon == nil && phi3.maxPositions == 2048)
        #expect(try Self.describe("internvl-phi3-hf", ["rms_norm_eps": .null]).text.epsilon == 1e-5)
        let mistral = try Self.describe("internvl-mistral-hf", [:]).text
        #expect(
            mistral.heads == HeadLayout(heads: 4, keyValueHeads: 2, headDim: 16) && mistral.names == .llama)
        let internLM2 = try ModelFamilies.describe(Fixtures.folder("internvl-internlm2-opengvlab")).text
        #expect(internLM2.names == .internLM2 && internLM2.biases == [.qkv, .output])
        #expect(internLM2.rotary.scaling == .dynamic(factor: 2, trained: 1024, length: nil))
        #expect(internLM2.maxPositions == 2048)
        let files = try DescribeTests.files("internvl-internlm2-opengvlab", ["llm_config.bias": .bool(false)])
        #expect(try ModelFamilies.describe(files).text.biases == [])
    }

    @Test(arguments: ["internvl-mistral-hf", "internvl-phi3-hf"])
    func `a window shorter than the context is that of all layers`(name: String) throws {
        let whole = try Self.describe(name, ["sliding_window": .null]).text.maxPositions
        for (window, counts) in [(whole, false), (whole + 1, false), (whole - 1, true), (64, true)] {
            let text = try Self.describe(name, ["sliding_window": .int(window)]).text
            let layers = Set(0..<text.layerCount)
            #expect(text.sliding == (counts ? SlidingShape(window: window, layers: layers) : nil))
            #expect(text.maxPositions == whole)
        }
        for value in [JSONValue.int(0), .int(-1), .double(0.5), .string("all")] {
            #expect("\(value.summary)") {
                _ = try Self.describe(name, ["sliding_window": value])
            } throws: { "\($0)".contains("text_config.sliding_window") }
        }
    }

    @Test func `a window that is switched off does not count`() throws {
        for name in ["internvl-qwen3-hf", "internvl-qwen2-hf"] {
            #expect(try Self.describe(name, ["sliding_window": .int(8)]).text.maxPositions == 1024)
            #expect {
                _ = try Self.describe(name, ["sliding_window": .int(8), "use_sliding_window": .bool(true)])
            } throws: { "\($0)".contains("use_sliding_window") }
        }
    }

    @Test func `a part of a head that cannot turn is refused`() throws {
        // 20 values a head: none, one, nine and five of them, and more than there are.
        for fraction in [0, 0.05, 0.45, 0.25, 1.5] {
            #expect("\(fraction)") {
                _ = try Self.describe(
                    "internvl-phi3-hf",
                    ["rope_parameters": .object(["partial_rotary_factor": .double(fraction)])])
            } throws: { "\($0)".contains("text_config.rope_parameters.partial_rotary_factor") }
        }
        let half = try Self.describe(
            "internvl-phi3-hf", ["rope_parameters": .null, "partial_rotary_factor": .double(0.5)])
        #expect(half.text.rotary.fraction == 0.5)
    }

    /// Text parts that published OpenGVLab folders could have, but for the sizes.
    static let published: [String: JSONObject] = [
        "qwen3": ["head_dim": .int(12), "attention_bias": .bool(false), "rope_scaling": .null],
        "mistral": ["head_dim": .int(20), "sliding_window": .int(4096)],
        "phi3": [
            "original_max_position_embeddings": .int(256), "sliding_window": .int(262_144),
            "rope_scaling": .object([
                "type": .string("su"), "short_factor": .array(Array(repeating: .double(1.1), count: 8)),
                "long_factor": .array(Array(repeating: .double(2.5), count: 8)),
            ]),
        ],
        "internlm2": [
            "bias": .bool(false), "rope_scaling": .object(["type": .string("dynamic"), "factor": .int(2)]),
        ],
        "llama": [:],
        "qwen2": [:],
    ]

    @Test(arguments: published.keys.sorted())
    func `both layouts load every kind of tower`(kind: String) throws {
        for (name, key) in [("internvl-qwen2-opengvlab", "llm_config"), ("internvl-qwen2-hf", "text_config")]
        {
            let files = try ModelFiles(folder: Fixtures.folder(name))
            var text = files.config.settings[key]?.object ?? [:]
            text.set("model_type", .string(kind))
            text.set("rope_parameters", .null)
            for (key, value) in Self.published[kind]?.members ?? [] { text.set(key, value) }
            var settings = files.config.settings
            settings.set(key, .object(text))
            let description = try ModelFamilies.describe(
                ModelFiles(
                    config: ConfigSection(file: "config.json", settings: settings),
                    generation: files.generation,
                    preprocessor: files.preprocessor))
            #expect(description.textModelType == kind)
            let device = CPUDevice(threadCount: 1, exact: true)
            let model = try ModelFamilies.load(
                ModelFamilies.randomWeights(for: description, seed: 5), description: description,
                device: device,
                elementType: .f32)
            let driver = try PagedDriver(model, device: device, elementType: .f32)
            let example = GoldenFile.of(name).cases[2]
            let logits = try driver.extend(try driver.sequence(for: example), by: example.inputIds)
            #expect(logits.allSatisfy(\.isFinite) && Set(logits).count > 100)
        }
    }
}
