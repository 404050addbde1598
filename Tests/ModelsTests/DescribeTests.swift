import Checkpoints
import Images
import JSON
import Tensors
import TestSupport
import Testing

@testable import Models

/// Configurations: what sound ones mean, and that unsound ones are refused with file and key, never trap.
@Suite struct DescribeTests {
    /// The files of a fixture with some settings of config.json replaced; a null removes one.
    static func files(_ name: String, _ changes: [String: JSONValue]) throws -> ModelFiles {
        let files = try ModelFiles(folder: Fixtures.folder(name))
        var settings = files.config.settings
        for (key, value) in changes {
            let path = key.split(separator: ".").map(String.init)
            if path.count == 1 {
                settings.set(key, value)
            } else {
                var inner = settings[path[0]]?.object ?? [:]
                inner.set(path[1], value)
                settings.set(path[0], .object(inner))
            }
        }
        return ModelFiles(
            config: ConfigSection(file: "config.json", settings: settings), generation: files.generation,
            preprocessor: files.preprocessor)
    }

    @Test func `all layouts of one model are described alike`() throws {
        for file in GoldenFile.all {
            let descriptions = try file.models.map { try ModelFamilies.describe(Fixtures.folder($0)) }
            #expect(descriptions.allSatisfy { $0.text == descriptions[0].text })
            #expect(descriptions.allSatisfy { $0.vision == descriptions[0].vision })
            #expect(descriptions[0].vision?.cut.tokensPerPage == 16)
            #expect(descriptions[0].vision?.tiling?.tileSize == file.tile)
            #expect(descriptions[0].vision?.tiling?.maxTiles == 12)
            #expect(descriptions[0].text.vocabularyCount == file.vocabulary)
            for description in descriptions {
                #expect(
                    description.templateName == (description.modelType == "internvl" ? nil : "internvl2_5"))
            }
            #expect(descriptions.allSatisfy { $0.generation.endIDs.first == 689 })
        }
    }

    @Test func `what the fixtures set is read`() throws {
        let llama = try ModelFamilies.describe(Fixtures.folder("internvl-llama-hf"))
        #expect(llama.text.heads.headDim == 16)
        #expect(llama.text.tiesEmbeddings)
        #expect(llama.text.biases == [])
        #expect(llama.vision?.norm == .rms(epsilon: 1e-6))
        #expect(llama.vision?.queryKeyEpsilon == 1e-6)
        #expect(llama.storedType == .f16)
        #expect(llama.text.rotary.scaling == .llama3(factor: 8, low: 1, high: 4, trained: 64))
        let qwen = try ModelFamilies.describe(Fixtures.folder("internvl-qwen2-opengvlab"))
        #expect(qwen.text.biases == [.qkv])
        #expect(qwen.text.rotary.base == 1_000_000)
        #expect(qwen.vision?.hasQKVBias == true)
        #expect(qwen.generation.endIDs == [689, 687])
        #expect(qwen.storedType == .bf16)
    }

    static let sizes = [
        "text_config.hidden_size", "text_config.num_hidden_layers", "text_config.intermediate_size",
        "text_config.num_attention_heads", "text_config.num_key_value_heads", "text_config.vocab_size",
        "text_config.max_position_embeddings", "text_config.head_dim", "vision_config.hidden_size",
        "vision_config.num_attention_heads", "vision_config.num_hidden_layers",
        "vision_config.intermediate_size",
        "vision_config.image_size", "vision_config.patch_size",
    ]

    @Test(arguments: sizes)
    func `a size that cannot be is refused by name`(key: String) throws {
        let values: [JSONValue] = [
            .int(0), .int(-1), .int(2147483648), .double(1e30),
            .int(9223372036854775807),
            .int(-9223372036854775808), .double(9223372036854775808), .double(1.5), .double(.nan),
            .string("64"), .bool(true), .array([]), .array([.int(0), .int(0)]), .object([:]),
        ]
        for value in values {
            let files = try Self.files("internvl-llama-hf", [key: value])
            #expect("\(key) = \(value.summary)") {
                _ = try ModelFamilies.describe(files)
            } throws: { error in
                let message = "\(error)"
                return error is ModelError && message.contains("config.json") && message.contains(key)
            }
        }
    }

    /// Changes of the HF Llama fixture, and the key the error must name.
    static let refused: [(key: String, value: JSONValue, named: String)] = [
        ("text_config.num_attention_heads", .int(5), "num_key_value_heads"),
        ("text_config.num_key_value_heads", .int(4), "num_key_value_heads"),
        ("text_config.head_dim", .int(15), "head_dim"),
        ("vision_config.num_attention_heads", .int(5), "num_attention_heads"),
        ("vision_config.patch_size", .int(16), "image_size"),
        ("vision_config.image_size", .array([.int(112), .int(224)]), "image_size"),
        ("vision_config.hidden_act", .string("quick_gelu"), "hidden_act"),
        ("vision_config.norm_type", .string("batch_norm"), "norm_type"),
        ("vision_config.num_channels", .int(1), "num_channels"),
        ("vision_config.use_mean_pooling", .bool(false), "use_mean_pooling"),
        ("text_config.hidden_act", .string("gelu_new"), "hidden_act"),
        ("text_config.model_type", .string("mamba"), "internlm2, llama, mistral, phi3, qwen2, qwen3"),
        ("text_config.rms_norm_eps", .int(-1), "rms_norm_eps"),
        ("text_config.use_sliding_window", .string("yes"), "use_sliding_window"),
        ("text_config.layer_types", .array([.string("sliding_attention")]), "layer_types"),
        (
            "text_config.rope_parameters",
            .object(["rope_type": .string("longrope"), "factor": .int(2)]), "original_max_position_embeddings"
        ),
        ("text_config.rope_parameters", .object(["rope_type": .string("linear")]), "rope_parameters.factor"),
        ("text_config.rope_parameters", .object(["rope_theta": .int(0)]), "rope_theta"),
        (
            "text_config.rope_parameters", .object(["partial_rotary_factor": .double(0.5)]),
            "partial_rotary_factor"
        ),
        ("text_config", .null, "text_config"),
        ("vision_config", .int(3), "vision_config"),
        ("downsample_ratio", .double(0.25), "downsample_ratio"),
        ("vision_feature_layer", .int(-3), "vision_feature_layer"),
        ("vision_feature_layer", .array([.int(-1)]), "vision_feature_layer"),
        ("vision_feature_select_strategy", .string("full"), "vision_feature_select_strategy"),
        ("projector_hidden_act", .string("relu"), "projector_hidden_act"),
        ("dtype", .string("float64"), "dtype"),
    ]

    @Test(arguments: refused.indices)
    func `what the model cannot do is refused by name`(index: Int) throws {
        let (key, value, named) = Self.refused[index]
        let files = try Self.files("internvl-llama-hf", [key: value])
        #expect("\(key)") { _ = try ModelFamilies.describe(files) } throws: { "\($0)".contains(named) }
    }

    private static func sections(interleaved: Bool) -> JSONValue {
        .object([
            "mrope_section": .array([.int(2), .int(3), .int(3)]), "mrope_interleaved": .bool(interleaved),
        ])
    }

    /// Changes of the Qwen-VL fixtures, and the key the error must name.
    static let refusedQwen: [(name: String, key: String, value: JSONValue, named: String)] = [
        ("qwen2-vl", "rope_scaling", .object(["type": .string("mrope")]), "mrope_section"),
        ("qwen2-vl", "vision_config.embed_dim", .int(36), "num_heads"),
        ("qwen2-vl", "vision_config.hidden_size", .int(64), "vision_config.hidden_size"),
        ("qwen2-vl", "vision_config.temporal_patch_size", .int(1), "temporal_patch_size"),
        ("qwen2-vl", "vision_config.hidden_act", .string("gelu"), "hidden_act"),
        ("qwen2_5-vl", "vision_config.window_size", .int(27), "window_size"),
        ("qwen2_5-vl", "vision_config.fullatt_block_indexes", .int(3), "fullatt_block_indexes"),
        ("qwen2_5-vl", "vision_config.fullatt_block_indexes", .array([.int(3), .int(1)]), "rising"),
        ("qwen2_5-vl", "vision_config.fullatt_block_indexes", .array([.int(4)]), "below 4"),
        ("qwen2_5-vl", "vision_config.out_hidden_size", .int(32), "out_hidden_size"),
        ("qwen2_5-vl", "vision_config.patch_size", .int(16), "patch_size"),
        ("qwen2_5-vl", "text_config.rope_parameters", sections(interleaved: true), "mrope_interleaved"),
        ("qwen3-vl", "text_config.rope_scaling", sections(interleaved: false), "mrope_interleaved"),
        ("qwen3-vl", "vision_config.num_position_embeddings", .int(15), "square"),
        ("qwen3-vl", "vision_config.deepstack_visual_indexes", .array([.int(0), .int(0)]), "rising"),
        (
            "qwen3-vl", "vision_config.deepstack_visual_indexes", .array((0..<4).map(JSONValue.int)),
            "more entries than text layers"
        ),
    ]

    @Test(arguments: refusedQwen.indices)
    func `what Qwen-VL cannot be is refused by name`(index: Int) throws {
        let (name, key, value, named) = Self.refusedQwen[index]
        let files = try Self.files(name, [key: value])
        #expect("\(key)") { _ = try ModelFamilies.describe(files) } throws: { "\($0)".contains(named) }
    }

    @Test func `bounds on pixels make sense whatever the files say`() throws {
        let config = try Self.files("qwen3-vl", [:]).config
        func patches(_ settings: JSONObject) throws -> PatchOptions? {
            let preprocessor = ConfigSection(file: "preprocessor_config.json", settings: settings)
            let description = try ModelFamilies.describe(
                ModelFiles(config: config, preprocessor: preprocessor))
            if case .patches(let patches) = description.vision?.cut { return patches }
            return nil
        }
        let small = try #require(try patches(["max_pixels": .int(256), "size": .object([:])]))
        #expect(small.maxPixels == 1024 && small.minPixels == 1024)
        let named = try #require(
            try patches(["size": .object(["shortest_edge": .int(5000), "longest_edge": .int(9000)])]))
        #expect(named.minPixels == 5000 && named.maxPixels == 9000)
        let swapped = try #require(try patches(["min_pixels": .int(9000), "max_pixels": .int(5000)]))
        #expect(swapped.minPixels == 5000 && swapped.maxPixels == 5000)
        #expect(throws: ModelError.self) { _ = try patches(["max_pixels": .int(1 << 40)]) }
        // A tower whose tokens are larger than the usual window.
        let wide = try ModelFamilies.describe(
            ModelFiles(
                config: Self.files(
                    "qwen2_5-vl",
                    [
                        "vision_config.patch_size": .int(32), "vision_config.spatial_merge_size": .int(8),
                        "vision_config.window_size": .null,
                    ]
                ).config))
        if case .patches(let patches) = wide.vision?.cut { #expect(patches.window == 1) }
    }

    @Test(arguments: [
        "hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "intermediate_size",
    ])
    func `a missing size is refused by name`(key: String) throws {
        let files = try Self.files("internvl-qwen2-opengvlab", ["llm_config.\(key)": .null])
        #expect { _ = try ModelFamilies.describe(files) } throws: {
            "\($0)".contains("llm_config.\(key) is missing")
        }
    }

    @Test func `OpenGVLab's own settings are obeyed or refused`() throws {
        let name = "internvl-qwen2-opengvlab"
        let fixed = try ModelFamilies.describe(Self.files(name, ["dynamic_image_size": .bool(false)]))
        #expect(fixed.vision?.tiling?.maxTiles == 1)
        #expect(fixed.vision?.tiling?.useThumbnail == false)
        let bounded = try ModelFamilies.describe(
            Self.files(name, ["min_dynamic_patch": .int(2), "max_dynamic_patch": .int(6)]))
        #expect(bounded.vision?.tiling?.minTiles == 2)
        #expect(bounded.vision?.tiling?.maxTiles == 6)
        let shallow = try ModelFamilies.describe(Self.files(name, ["select_layer": .int(-2)]))
        #expect(shallow.vision?.layerCount == 1)
        for (key, value) in [("ps_version", JSONValue.string("v1")), ("force_image_size", .int(224))] {
            let files = try Self.files(name, [key: value])
            #expect { _ = try ModelFamilies.describe(files) } throws: { "\($0)".contains(key) }
        }
    }

    @Test func `an unknown architecture is told what there is`() throws {
        let files = try Self.files(
            "internvl-llama-hf", ["architectures": .array([.string("MambaForCausalLM")])])
        #expect {
            _ = try ModelFamilies.describe(files)
        } throws: { "\($0)".contains("MambaForCausalLM") && "\($0)".contains("InternVLChatModel") }
        let unnamed = try Self.files(
            "internvl-llama-hf", ["architectures": .null, "auto_map": .string("evil.py")])
        #expect(try ModelFamilies.describe(unnamed).modelType == "internvl")
    }

    @Test func `an end of answers is needed, and must be in the vocabulary`() throws {
        let files = try Self.files("internvl-llama-hf", ["text_config.eos_token_id": .null])
        let without = ModelFiles(config: files.config)
        #expect { _ = try ModelFamilies.describe(without) } throws: { "\($0)".contains("eos_token_id") }
        let beyond = try Self.files("internvl-llama-hf", ["eos_token_id": .int(700)])
        #expect {
            _ = try ModelFamilies.describe(ModelFiles(config: beyond.config))
        } throws: { "\($0)".contains("eos_token_id is 700") }
    }
}
