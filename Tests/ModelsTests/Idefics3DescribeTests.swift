import Checkpoints
import JSON
import Tensors
import TestSupport
import Testing

@testable import Images
@testable import Models

/// SmolVLM's and Idefics3's configurations: what published ones leave out, and that unsound ones are refused.
@Suite struct Idefics3DescribeTests {
    private func describe(
        _ config: String, _ preprocessor: String? = nil, _ processor: String? = nil,
    ) throws -> ModelDescription {
        func section(_ text: String, _ file: String) throws -> ConfigSection {
            try ConfigSection.parse(Array(text.utf8), file: file)
        }
        return try ModelFamilies.describe(
            ModelFiles(
                config: section(config, "config.json"),
                preprocessor: preprocessor.map { try section($0, "preprocessor_config.json") },
                processor: processor.map { try section($0, "processor_config.json") }))
    }

    @Test func `SmolVLM2 of 500M names few sizes of its vision tower`() throws {
        let description = try describe(
            """
            {"architectures": ["SmolVLMForConditionalGeneration"], "image_token_id": 49190, "model_type": "smolvlm",
             "pad_token_id": 128002, "scale_factor": 4, "text_config": {"architectures": ["VLlama3ForCausalLM"],
               "head_dim": 64, "hidden_size": 960, "intermediate_size": 2560, "is_llama_config": true,
               "max_position_embeddings": 8192, "model_type": "llama", "neftune_noise_alpha": 0.0,
               "num_attention_heads": 15, "num_hidden_layers": 32, "num_key_value_heads": 5, "pad_token_id": 2,
               "pixel_shuffle_factor": 4, "qk_layer_norms": false, "rms_norm_eps": 1e-05, "rope_interleaved": false,
               "rope_theta": 100000, "torch_dtype": "bfloat16", "use_resampler": false, "vocab_size": 49280,
               "eos_token_id": 2},
             "tie_word_embeddings": false, "torch_dtype": "float32", "use_cache": false,
             "vision_config": {"hidden_size": 768, "image_size": 512, "max_image_size": {"longest_edge": 512},
               "model_type": "smolvlm_vision", "num_attention_heads": 12, "patch_size": 16,
               "size": {"longest_edge": 2048}, "tie_word_embeddings": false, "use_base_siglip": false},
             "vocab_size": 49280}
            """,
            """
            {"do_convert_rgb": true, "do_image_splitting": true, "do_normalize": true, "do_pad": true,
             "do_rescale": true, "do_resize": true, "image_mean": [0.5, 0.5, 0.5],
             "image_processor_type": "SmolVLMImageProcessor", "image_std": [0.5, 0.5, 0.5],
             "max_image_size": {"longest_edge": 512}, "processor_class": "SmolVLMProcessor", "resample": 1,
             "rescale_factor": 0.00392156862745098, "size": {"longest_edge": 2048},
             "video_sampling": {"fps": 1, "max_frames": 64, "video_size": {"longest_edge": 512}}}
            """, #"{"image_seq_len": 64, "processor_class": "SmolVLMProcessor"}"#)
        let text = description.text, vision = try #require(description.vision)
        #expect(text.heads == HeadLayout(heads: 15, keyValueHeads: 5, headDim: 64))
        #expect(text.maxPositions == 8192 && text.epsilon == 1e-5 && !text.tiesEmbeddings)
        #expect(description.storedType == .f32 && description.generation.endIDs == [2])
        #expect(vision.layerCount == 12 && vision.intermediateSize == 3072 && vision.headDim == 64)
        #expect(vision.activation == .gelu(.tanh) && vision.norm == .layer(epsilon: 1e-6))
        #expect(vision.mean == [0.5, 0.5, 0.5] && vision.deviation == [0.5, 0.5, 0.5])
        #expect(vision.projectorInputs == 12288)
        #expect(
            vision.cut
                == .split(SplitOptions(tileSize: 512, patchSize: 16, mergeSize: 4, longerSide: 2048)))
    }

    @Test func `the first SmolVLM and Idefics3 name no sizes of their text towers`() throws {
        let smol = try describe(
            """
            {"architectures": ["Idefics3ForConditionalGeneration"], "model_type": "idefics3", "scale_factor": 3,
             "text_config": {"model_type": "llama", "hidden_size": 2048, "intermediate_size": 8192,
               "num_hidden_layers": 24, "max_position_embeddings": 16384, "rms_norm_eps": 1e-05,
               "rope_theta": 273768.0, "tie_word_embeddings": true, "vocab_size": 49155},
             "tie_word_embeddings": false, "torch_dtype": "bfloat16",
             "vision_config": {"image_size": 384, "intermediate_size": 4304, "model_type": "idefics3",
               "num_hidden_layers": 27, "patch_size": 14}}
            """,
            """
            {"max_image_size": {"longest_edge": 384}, "size": {"longest_edge": 1536},
             "image_processor_type": "Idefics3ImageProcessor"}
            """, #"{"image_seq_len": 81}"#)
        let vision = try #require(smol.vision)
        #expect(smol.text.heads == HeadLayout(heads: 32, keyValueHeads: 32, headDim: 64))
        #expect(smol.text.epsilon == 1e-5 && smol.generation.endIDs == [2])
        // What the text tower says of its head is not the model's.
        #expect(!smol.text.tiesEmbeddings)
        #expect(vision.hiddenSize == 1152 && vision.headDim == 72 && vision.patchesPerSide == 27)
        #expect(vision.cut.tileSize == 378 && vision.cut.tokensPerPage == 81 && vision.cut.mostPages == 17)
        let large = try describe(
            """
            {"model_type": "idefics3", "text_config": {"model_type": "llama", "intermediate_size": 14336,
               "max_position_embeddings": 131072, "num_key_value_heads": 8, "rope_theta": 500000.0,
               "vocab_size": 128259, "eos_token_id": [128001, 128258], "rope_scaling": {"factor": 8.0,
               "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192,
               "rope_type": "llama3"}},
             "vision_config": {"image_size": 364, "intermediate_size": 4304, "num_hidden_layers": 27,
               "patch_size": 14}}
            """, "{}")
        #expect(large.text.hiddenSize == 4096 && large.text.layerCount == 32)
        #expect(large.generation.endIDs == [128001, 128258])
        #expect(
            large.vision?.cut
                == .split(SplitOptions(tileSize: 364, patchSize: 14, mergeSize: 2, longerSide: 1456)))
    }

    /// Changes of the fixture, and the key the error must name.
    static let refused: [(key: String, value: JSONValue, named: String)] = [
        ("vision_config", .null, "vision_config"), ("text_config", .null, "text_config"),
        ("vision_config.num_attention_heads", .int(3), "num_attention_heads"),
        ("vision_config.num_channels", .int(1), "num_channels"),
        ("vision_config.patch_size", .int(51), "patch_size"),
        ("vision_config.patch_size", .array([.int(8), .int(9)]), "patch_size"),
        ("vision_config.hidden_act", .string("relu"), "hidden_act"),
        ("vision_config.image_size", .int(74), "max_image_size"),
        ("vision_config.image_size", .array([.int(50), .int(48)]), "image_size"),
        ("scale_factor", .int(4), "scale_factor"), ("scale_factor", .int(0), "scale_factor"),
        ("scale_factor", .int(7), "scale_factor"), ("scale_factor", .int(2), "image_seq_len"),
        ("text_config.model_type", .string("mamba"), "model_type"),
    ]

    @Test(arguments: refused.indices)
    func `what SmolVLM cannot be is refused by name`(index: Int) throws {
        let (key, value, named) = Self.refused[index]
        let files = try DescribeTests.files("smolvlm", [key: value])
        let whole = ModelFiles(
            config: files.config, generation: files.generation, preprocessor: files.preprocessor,
            processor: try ModelFiles(folder: Fixtures.folder("smolvlm")).processor)
        #expect("\(key)") { _ = try ModelFamilies.describe(whole) } throws: { "\($0)".contains(named) }
    }

    @Test(arguments: [
        ("size", JSONValue.object(["height": .int(50), "width": .int(50)]), "size"),
        ("size", .int(39), "size"),
        ("size", .object(["longest_edge": .int(0)]), "longest_edge"),
        ("size", .object(["longest_edge": .int(.max)]), "longest_edge"),
        ("size", .object(["longest_edge": .int(1601)]), "up to 1090 tiles"),
        ("max_image_size", .object(["longest_edge": .int(48)]), "max_image_size"),
        ("max_image_size", .null, "max_image_size"), ("do_image_splitting", .int(1), "do_image_splitting"),
        ("do_resize", .bool(false), "do_resize"), ("rescale_factor", .double(0.5), "rescale_factor"),
        ("resample", .int(0), "resample"), ("image_std", .array([.int(0), .int(0), .int(0)]), "image_std"),
    ])
    func `how pictures cannot be made ready is refused by name`(
        key: String, value: JSONValue, named: String,
    ) throws {
        #expect("\(key)") { _ = try changed(key, value) } throws: { "\($0)".contains(named) }
    }

    private func changed(_ key: String, _ value: JSONValue) throws -> ModelDescription {
        let files = try ModelFiles(folder: Fixtures.folder("smolvlm"))
        var settings = try #require(files.preprocessor).settings
        settings.set(key, value)
        return try ModelFamilies.describe(
            ModelFiles(
                config: files.config, generation: files.generation,
                preprocessor: ConfigSection(file: "preprocessor_config.json", settings: settings)))
    }

    @Test func `pictures need not be split, and the filter is the one that is said`() throws {
        guard case .split(let split) = try changed("do_image_splitting", .bool(false)).vision?.cut,
            case .split(let other) = try changed("resample", .int(3)).vision?.cut
        else {
            Issue.record("split")
            return
        }
        #expect(!split.splits && split.mostTiles == 1 && split.filter == .lanczos)
        #expect(other.splits && other.mostTiles == 10 && other.filter == .bicubic)
    }
}
