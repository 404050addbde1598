import CPUBackend
import Checkpoints
import JSON
import Tensors
import TestSupport
import Testing

@testable import Images
@testable import Models

/// Tarsier2: Qwen2-VL's fixture as Tarsier's files have it, against the reference of Qwen2-VL.
@Suite struct TarsierTests {
    private static let name = "qwen2-vl"

    /// The configuration, with settings of a part replaced; a null removes one.
    private func files(_ changes: [(part: String, key: String, value: JSONValue)] = []) throws -> ModelFiles {
        let files = try ModelFiles(folder: Fixtures.folder(Self.name))
        var text = files.config.settings, vision = try #require(text["vision_config"]?.object)
        text.set("vision_config", .null)
        text.set("model_type", .string("qwen2_vl"))
        vision.set("model_type", .string("qwen2_vl"))
        var config: JSONObject = [
            "architectures": .array([.string("TarsierForConditionalGeneration")]), "ignore_index": .int(-100),
            "image_newline_idx": .int(32002), "image_new_idx": .int(32003), "image_token_index": .int(693),
            "model_type": .string("llava"), "projection_head": .null,
            "tie_word_embeddings": .bool(true), "torch_dtype": .string("float16"),
        ]
        for (part, key, value) in changes {
            switch part {
            case "text_config": text.set(key, value)
            case "vision_config": vision.set(key, value)
            default: config.set(key, value)
            }
        }
        if config["text_config"] == nil { config.set("text_config", .object(text)) }
        if config["vision_config"] == nil { config.set("vision_config", .object(vision)) }
        return ModelFiles(
            config: ConfigSection(file: "config.json", settings: config), generation: files.generation,
            preprocessor: files.preprocessor)
    }

    @Test func `it is Qwen2-VL under other names`() throws {
        let description = try ModelFamilies.describe(files())
        let plain = try ModelFamilies.describe(Fixtures.folder(Self.name))
        #expect(description.modelType == "tarsier2" && description.storedType == .f16)
        #expect(description.text == plain.text && description.vision == plain.vision)
        let source = LoadingTests.Renamed(inner: try Checkpoint(folder: Fixtures.folder(Self.name))) {
            tensor in
            tensor.hasPrefix("visual.")
                ? "vision_tower" + tensor.dropFirst("visual".count) : "language_model." + tensor
        }
        let device = CPUDevice(threadCount: 2, exact: true)
        let driver = try PagedDriver(
            ModelFamilies.load(source, description: description, device: device, elementType: .f32),
            device: device, elementType: .f32)
        driver.imageTokenID = 693
        guard case .patches(let patches) = description.vision?.cut else {
            Issue.record("patches")
            return
        }
        for example in try QwenGoldenFile.of(Self.name).cases {
            let pictures = try example.images.map { image in
                let pixels = try Fixtures.pixels(image.file)
                return ImageTiles(
                    pixels, plan: PatchPlan(width: pixels.width, height: pixels.height, options: patches))
            }
            let count = example.inputIds.count
            let next = (example.positions.compactMap { $0.max() }.max() ?? -1) + 1
            driver.places = { index in
                index < count
                    ? example.positions.map { $0[index] }
                    : Array(repeating: next + Int32(index - count), count: 3)
            }
            let (_, chosen) = try driver.answer(
                try driver.sequence(showing: pictures), to: example.inputIds, inChunksOf: .max,
                count: example.greedyIds.count)
            #expect(chosen == example.greedyIds, "\(example.name)")
        }
    }

    @Test func `files that are written with differences only have the rest from their classes`() throws {
        let parts: [(part: String, key: String, value: JSONValue)] = [
            (
                "", "text_config",
                .object([
                    "model_type": .string("qwen2_vl"), "hidden_size": .int(3584),
                    "intermediate_size": .int(18944),
                    "num_attention_heads": .int(28), "num_hidden_layers": .int(28),
                    "num_key_value_heads": .int(4),
                    "rms_norm_eps": .double(1e-6), "eos_token_id": .int(151_645),
                    "rope_scaling": .object([
                        "mrope_section": .array([.int(16), .int(24), .int(24)]), "type": .string("mrope"),
                    ]),
                ])
            ), ("", "vision_config", .object(["model_type": .string("qwen2_vl")])),
            ("", "tie_word_embeddings", .bool(false)),
        ]
        let made = try files(parts)
        let description = try ModelFamilies.describe(ModelFiles(config: made.config))
        let text = description.text, vision = try #require(description.vision)
        #expect(text.rotary.base == 1_000_000 && text.maxPositions == 32768)
        #expect(text.vocabularyCount == 152_064 && text.epsilon == 1e-6 && !text.tiesEmbeddings)
        #expect(vision.layerCount == 32 && vision.hiddenSize == 1280 && vision.heads == 16)
        #expect(description.generation.endIDs == [151_645])
    }

    @Test func `a configuration that is LLaVA's stays so`() throws {
        #expect(try ModelFamilies.describe(Fixtures.folder("llava")).modelType == "llava")
        var settings = try ModelFiles(folder: Fixtures.folder("llava")).config.settings
        settings.set("architectures", .null)
        let files = ModelFiles(
            config: ConfigSection(file: "config.json", settings: settings),
            generation: try ModelFiles(folder: Fixtures.folder("llava")).generation)
        #expect(try ModelFamilies.describe(files).modelType == "llava")
    }

    static let refused: [(part: String, key: String, value: JSONValue, named: String)] = [
        ("text_config", "model_type", .string("llama"), "text_config.model_type"),
        ("text_config", "model_type", .null, "text_config.model_type"),
        ("vision_config", "model_type", .string("clip_vision_model"), "vision_config.model_type"),
        ("text_config", "rope_scaling", .null, "mrope_section"), ("", "text_config", .int(1), "text_config"),
        ("vision_config", "num_heads", .int(3), "vision_config.num_heads"),
    ]

    @Test(arguments: refused.indices)
    func `what Tarsier2 cannot be is refused by name`(index: Int) throws {
        let (part, key, value, named) = Self.refused[index]
        let files = try files([(part, key, value)])
        #expect("\(key)") { _ = try ModelFamilies.describe(files) } throws: { "\($0)".contains(named) }
    }
}
