import Checkpoints
import JSON
import Tensors
import TestSupport
import Testing

@testable import Images
@testable import Models

/// Gemma 3's configurations: what published ones leave out, and that unsound ones are refused.
@Suite struct Gemma3DescribeTests {
    private func describe(_ config: String, _ preprocessor: String? = nil) throws -> ModelDescription {
        func section(_ text: String, _ file: String) throws -> ConfigSection {
            try ConfigSection.parse(Array(text.utf8), file: file)
        }
        return try ModelFamilies.describe(
            ModelFiles(
                config: section(config, "config.json"),
                preprocessor: preprocessor.map { try section($0, "preprocessor_config.json") }))
    }

    private static let published = """
        {"architectures": ["Gemma3ForConditionalGeneration"], "boi_token_index": 255999, "eoi_token_index": 256000,
         "eos_token_id": [1, 106], "image_token_index": 262144, "initializer_range": 0.02,
         "mm_tokens_per_image": 256, "model_type": "gemma3", "text_config": {"hidden_size": 2560,
           "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34,
           "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024},
         "torch_dtype": "bfloat16", "vision_config": {"hidden_size": 1152, "image_size": 896,
           "intermediate_size": 4304, "model_type": "siglip_vision_model", "num_attention_heads": 16,
           "num_hidden_layers": 27, "patch_size": 14, "vision_use_head": false}}
        """
    private static let processor = """
        {"do_convert_rgb": null, "do_normalize": true, "do_pan_and_scan": null, "do_rescale": true,
         "do_resize": true, "image_mean": [0.5, 0.5, 0.5], "image_processor_type": "Gemma3ImageProcessor",
         "image_seq_length": 256, "image_std": [0.5, 0.5, 0.5], "pan_and_scan_max_num_crops": null,
         "pan_and_scan_min_crop_size": null, "pan_and_scan_min_ratio_to_activate": null,
         "processor_class": "Gemma3Processor", "resample": 2, "rescale_factor": 0.00392156862745098,
         "size": {"height": 896, "width": 896}}
        """

    @Test(arguments: [true, false])
    func `published files name few of the sizes`(hasProcessor: Bool) throws {
        let description = try describe(Self.published, hasProcessor ? Self.processor : nil)
        let text = description.text, vision = try #require(description.vision)
        #expect(text.heads == HeadLayout(heads: 8, keyValueHeads: 4, headDim: 256))
        #expect(text.layerCount == 34 && text.vocabularyCount == 262_208 && text.tiesEmbeddings)
        #expect(text.maxPositions == 131_072 && text.rotary.base == 1_000_000)
        #expect(text.rotary.scaling == .linear(factor: 8) && text.queryKeyEpsilon == 1e-6)
        let sliding = try #require(text.sliding)
        #expect(sliding.window == 1024 && sliding.rotary == RotaryShape(base: 10_000))
        #expect(sliding.layers == Set((0..<34).filter { ![5, 11, 17, 23, 29].contains($0) }))
        #expect(text.attentionScale == 1 / 16 && text.normShift == 1 && text.gate == .tanhGELU)
        #expect(text.embeddingScale == Float(2560).squareRoot() && text.biases == [])
        #expect(description.generation.endIDs == [1, 106] && description.storedType == .bf16)
        #expect(vision.layerCount == 27 && vision.headDim == 72 && vision.activation == .gelu(.tanh))
        #expect(vision.mean == [0.5, 0.5, 0.5] && vision.deviation == [0.5, 0.5, 0.5])
        #expect(vision.seesWholePictures && vision.markers.surroundings == "\n\n")
        guard case .views(let views) = vision.cut else {
            Issue.record("views")
            return
        }
        let expected = ViewOptions(
            viewSize: 896, patchSize: 14, tokensPerView: 256, fit: .stretched, filter: .bilinear)
        #expect(views == expected)
    }

    @Test func `a text tower by itself, in the words of both versions`() throws {
        let older = try describe(
            """
            {"architectures": ["Gemma3ForCausalLM"], "attention_bias": false, "attn_logit_softcapping": null,
             "bos_token_id": 2, "cache_implementation": "hybrid", "eos_token_id": [1, 106],
             "final_logit_softcapping": null, "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh",
             "hidden_size": 1152, "intermediate_size": 6912, "max_position_embeddings": 32768,
             "model_type": "gemma3_text", "num_attention_heads": 4, "num_hidden_layers": 26,
             "num_key_value_heads": 1, "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06,
             "rope_local_base_freq": 10000, "rope_scaling": null, "rope_theta": 1000000, "sliding_window": 512,
             "sliding_window_pattern": 6, "torch_dtype": "bfloat16", "vocab_size": 262144}
            """)
        #expect(older.text.tiesEmbeddings && older.text.sliding?.layers.count == 22 && older.vision == nil)
        #expect(older.text.rotary == RotaryShape(base: 1_000_000) && older.text.maxPositions == 32_768)
        let newer = try describe(
            """
            {"model_type": "gemma3_text", "num_hidden_layers": 2, "tie_word_embeddings": false,
             "eos_token_id": 1, "layer_types": ["full_attention", "sliding_attention"], "sliding_window": 7,
             "rope_parameters": {
               "full_attention": {"rope_type": "linear", "factor": 2.0, "rope_theta": 5000.0},
               "sliding_attention": {"rope_type": "default", "rope_theta": 300.0}}}
            """)
        #expect(newer.text.sliding == SlidingShape(window: 7, layers: [1], rotary: RotaryShape(base: 300)))
        #expect(newer.text.rotary == RotaryShape(base: 5000, scaling: .linear(factor: 2)))
        #expect(!newer.text.tiesEmbeddings && newer.text.maxPositions == 131_072)
    }

    @Test(arguments: [
        ("text_config.hidden_activation", JSONValue.string("gelu"), "gelu_pytorch_tanh"),
        ("text_config.attn_logit_softcapping", .int(50), "attn_logit_softcapping"),
        ("text_config.final_logit_softcapping", .int(30), "final_logit_softcapping"),
        ("text_config.use_bidirectional_attention", .bool(true), "use_bidirectional_attention"),
        ("text_config.sliding_window", .int(0), "sliding_window"),
        ("text_config.sliding_window", .null, "sliding_window"),
        ("text_config.sliding_window_pattern", .int(0), "sliding_window_pattern"),
        ("text_config.query_pre_attn_scalar", .int(-1), "query_pre_attn_scalar"),
        ("text_config.layer_types", .array([.string("full_attention")]), "layer_types"),
        ("text_config.rope_local_base_freq", .int(0), "rope_local_base_freq"),
        ("text_config.rope_scaling", .object(["rope_type": .string("linear")]), "factor"),
        ("text_config.model_type", .string("gemma2"), "model_type"),
        ("mm_tokens_per_image", .int(255), "mm_tokens_per_image"),
        ("mm_tokens_per_image", .int(9), "mm_tokens_per_image"),
        ("vision_config.model_type", .string("clip_vision_model"), "siglip_vision_model"),
        ("vision_config.patch_size", .int(1000), "mm_tokens_per_image"),
        ("vision_config.num_attention_heads", .int(7), "num_attention_heads"),
        ("preprocessor.do_pan_and_scan", .bool(true), "do_pan_and_scan"),
        ("preprocessor.size", .object(["height": .int(224), "width": .int(224)]), "image_size"),
        ("preprocessor.do_resize", .bool(false), "do_resize"),
        ("preprocessor.resample", .int(0), "resample"),
    ])
    func `what is not supported is refused by name`(place: String, value: JSONValue, word: String) throws {
        func altered(_ text: String, _ path: [Substring]) throws -> ConfigSection {
            let section = try ConfigSection.parse(Array(text.utf8), file: "config.json")
            var settings = section.settings
            if path.count == 2 {
                var inner = settings[String(path[0])]?.object ?? [:]
                inner.set(String(path[1]), value)
                settings.set(String(path[0]), .object(inner))
            } else {
                settings.set(String(path[0]), value)
            }
            return ConfigSection(file: section.file, settings: settings)
        }
        let path = place.split(separator: "."), isProcessor = path[0] == "preprocessor"
        let files = ModelFiles(
            config: isProcessor
                ? try ConfigSection.parse(Array(Self.published.utf8), file: "config.json")
                : try altered(Self.published, path),
            preprocessor: isProcessor ? try altered(Self.processor, Array(path.dropFirst())) : nil)
        #expect("\(place)") { _ = try ModelFamilies.describe(files) } throws: { "\($0)".contains(word) }
    }
}
