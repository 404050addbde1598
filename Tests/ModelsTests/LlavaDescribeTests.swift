import Checkpoints
import JSON
import Tensors
import TestSupport
import Testing

@testable import Images
@testable import Models

/// LLaVA's configurations: what published ones leave out, and that unsound ones are refused.
@Suite struct LlavaDescribeTests {
    private func describe(_ config: String, _ preprocessor: String? = nil) throws -> ModelDescription {
        func section(_ text: String, _ file: String) throws -> ConfigSection {
            try ConfigSection.parse(Array(text.utf8), file: file)
        }
        return try ModelFamilies.describe(
            ModelFiles(
                config: section(config, "config.json"),
                preprocessor: preprocessor.map { try section($0, "preprocessor_config.json") }))
    }

    @Test func `LLaVA 1.5 names no sizes of its text tower`() throws {
        let description = try describe(
            """
            {"architectures": ["LlavaForConditionalGeneration"], "ignore_index": -100, "image_token_index": 32000,
             "model_type": "llava", "pad_token_id": 32001, "projector_hidden_act": "gelu",
             "text_config": {"_name_or_path": "lmsys/vicuna-7b-v1.5", "architectures": ["LlamaForCausalLM"],
               "max_position_embeddings": 4096, "model_type": "llama", "rms_norm_eps": 1e-05,
               "torch_dtype": "float16", "vocab_size": 32064},
             "tie_word_embeddings": false, "torch_dtype": "float16", "vision_config": {"hidden_size": 1024,
               "image_size": 336, "intermediate_size": 4096, "model_type": "clip_vision_model",
               "num_attention_heads": 16, "num_hidden_layers": 24, "patch_size": 14, "projection_dim": 768,
               "vocab_size": 32000},
             "vision_feature_layer": -2, "vision_feature_select_strategy": "default", "vocab_size": 32064}
            """,
            """
            {"crop_size": {"height": 336, "width": 336}, "do_center_crop": true, "do_convert_rgb": true,
             "do_normalize": true, "do_rescale": true, "do_resize": true,
             "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_processor_type": "CLIPImageProcessor",
             "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3,
             "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 336}}
            """)
        let text = description.text, vision = try #require(description.vision)
        #expect(text.hiddenSize == 4096 && text.layerCount == 32 && text.intermediateSize == 11008)
        #expect(text.heads.heads == 32 && text.heads.keyValueHeads == 32 && text.maxPositions == 4096)
        #expect(text.epsilon == 1e-5 && text.vocabularyCount == 32064 && !text.tiesEmbeddings)
        #expect(description.generation.endIDs == [2])
        #expect(vision.layerCount == 23 && vision.activation == .gelu(.logistic))
        #expect(vision.norm == .layer(epsilon: 1e-5) && vision.features?.dropsFirst == true)
        guard case .views(let views) = vision.cut else {
            Issue.record("views")
            return
        }
        #expect(
            views
                == ViewOptions(
                    viewSize: 336, patchSize: 14, tokensPerView: 576, fit: .cropped(shorterSide: 336)))
    }

    @Test func `LLaVA-NeXT with Mistral, and LLaVA-OneVision, name no sizes of tiles`() throws {
        let next = try describe(
            """
            {"model_type": "llava_next", "text_config": {"max_position_embeddings": 32768,
             "model_type": "mistral", "rope_theta": 1000000.0, "sliding_window": null}}
            """)
        #expect(next.text.intermediateSize == 14336 && next.text.heads.keyValueHeads == 8)
        #expect(next.text.maxPositions == 32768 && next.vision?.cut.mostPages == 6)
        let window = try describe(#"{"model_type": "llava_next", "text_config": {"model_type": "mistral"}}"#)
        #expect(window.text.sliding?.window == 4096 && window.text.maxPositions == 4096 * 32)
        let oneVision = try describe(
            """
            {"model_type": "llava_onevision", "text_config": {"model_type": "qwen2", "hidden_size": 896,
              "intermediate_size": 4864, "num_attention_heads": 14, "num_hidden_layers": 24,
              "num_key_value_heads": 2, "max_position_embeddings": 32768, "vocab_size": 152000,
              "tie_word_embeddings": true, "eos_token_id": 151645}}
            """)
        let vision = try #require(oneVision.vision)
        #expect(vision.layerCount == 26 && vision.features?.hasClassToken == false)
        #expect(vision.features?.dropsFirst == false && vision.activation == .gelu(.tanh))
        #expect(vision.mean == [0.5, 0.5, 0.5] && oneVision.text.tiesEmbeddings)
        #expect(vision.cut.mostPages == 13 && vision.cut.tileSize == 378)
    }

    /// Changes of the fixtures, and the key the error must name.
    static let refused: [(name: String, key: String, value: JSONValue, named: String)] = [
        ("llava", "vision_config.model_type", .string("dinov2"), "vision_config.model_type"),
        ("llava", "vision_config.num_attention_heads", .int(3), "num_attention_heads"),
        ("llava", "vision_config.patch_size", .int(41), "patch_size"),
        ("llava", "vision_config.hidden_act", .string("relu"), "hidden_act"),
        ("llava", "vision_config.image_size", .int(48), "preprocessor_config.json"),
        ("llava", "vision_feature_layer", .int(5), "vision_feature_layer"),
        ("llava", "vision_feature_layer", .int(-6), "vision_feature_layer"),
        ("llava", "vision_feature_layer", .array([]), "vision_feature_layer"),
        ("llava", "vision_feature_layer", .array([.int(.min)]), "vision_feature_layer"),
        ("llava", "vision_feature_layer", .string("last"), "vision_feature_layer"),
        ("llava", "vision_feature_select_strategy", .string("cls"), "vision_feature_select_strategy"),
        ("llava", "projector_hidden_act", .string("relu"), "projector_hidden_act"),
        ("llava", "text_config", .null, "text_config"),
        ("llava-next", "vision_feature_select_strategy", .string("full"), "vision_feature_select_strategy"),
        ("llava-next", "image_grid_pinpoints", .array([]), "image_grid_pinpoints"),
        (
            "llava-next", "image_grid_pinpoints", .array([.array([.int(40), .int(60)])]),
            "image_grid_pinpoints"
        ),
        ("llava-onevision", "vision_aspect_ratio", .string("anyres"), "vision_aspect_ratio"),
        ("llava-onevision", "vision_aspect_ratio", .string("anyres_max_0"), "vision_aspect_ratio"),
        (
            "llava-onevision", "vision_feature_select_strategy", .string("default"),
            "vision_feature_select_strategy"
        ),
    ]

    @Test(arguments: refused.indices)
    func `what LLaVA cannot be is refused by name`(index: Int) throws {
        let (name, key, value, named) = Self.refused[index]
        let files = try DescribeTests.files(name, [key: value])
        #expect("\(key)") { _ = try ModelFamilies.describe(files) } throws: { "\($0)".contains(named) }
    }

    @Test(arguments: [
        ("size", JSONValue.object(["shortest_edge": .int(39)]), "size"), ("size", .int(39), "size"),
        ("size", .object(["height": .int(40), "width": .int(41)]), "size"),
        ("crop_size", .int(41), "crop_size"), ("do_center_crop", .bool(false), "do_center_crop"),
        ("do_resize", .bool(false), "do_resize"), ("do_pad", .bool(true), "do_pad"),
        ("rescale_factor", .double(0.5), "rescale_factor"), ("resample", .int(0), "resample"),
    ])
    func `how pictures cannot be made ready is refused by name`(
        key: String, value: JSONValue, named: String,
    ) throws {
        let files = try ModelFiles(folder: Fixtures.folder("llava"))
        var settings = try #require(files.preprocessor).settings
        settings.set(key, value)
        let changed = ModelFiles(
            config: files.config, generation: files.generation,
            preprocessor: ConfigSection(file: "preprocessor_config.json", settings: settings))
        #expect("\(key)") { _ = try ModelFamilies.describe(changed) } throws: { "\($0)".contains(named) }
    }
}
