import CPUBackend
import Checkpoints
import JSON
import Tensors
import TestSupport
import Testing

@testable import Images
@testable import Models

/// The first Qwen-VL against plain PyTorch in f32, on the reference's ids; and what its configurations say.
@Suite struct FirstQwenVLTests {
    private static let name = "qwen-vl"

    private func sequence(_ golden: LlavaGoldenCase, _ driver: PagedDriver) throws -> PagedDriver.Sequence {
        let cut = try #require(driver.model.description.vision?.cut)
        return try driver.sequence(showing: golden.tiles(cut))
    }

    @Test func `the view of a picture is the reference's, byte by byte`() throws {
        let golden = try LlavaGoldenFile.of(Self.name)
        let cut = try #require(ModelFamilies.describe(Fixtures.folder(Self.name)).vision?.cut)
        #expect(cut.tileSize == golden.tile && !cut.isWhole)
        for example in golden.cases { try golden.expectTiles(of: example, cut) }
    }

    @Test func `picture embeddings equal the reference, of several pictures at once`() throws {
        let driver = try FixtureModel.driver(Self.name, as: .f32)
        let golden = try LlavaGoldenFile.of(Self.name)
        var largest: Float = 0
        for example in golden.cases where example.embeddings != nil {
            let all = try driver.device.readFloats(try sequence(example, driver).images)
            largest = max(largest, golden.expectEmbeddings(all, of: example))
        }
        print("\(Self.name): embeddings differ by at most \(largest)")
    }

    @Test func `logits and 32 greedy tokens equal the reference, in chunks too`() throws {
        let driver = try FixtureModel.driver(Self.name, as: .f32)
        driver.imageTokenID = 536
        var largest: Float = 0
        for example in try LlavaGoldenFile.of(Self.name).cases {
            for chunk in [Int.max, 7] {
                let (logits, chosen) = try driver.answer(
                    try sequence(example, driver), to: example.inputIds, inChunksOf: chunk,
                    count: example.greedyIds.count)
                largest = max(largest, largestDifference(logits, Fixtures.floats(example.logits)))
                #expect(chosen == example.greedyIds, "\(example.name)")
            }
        }
        print("\(Self.name): logits differ by at most \(largest)")
        #expect(largest < 2e-4)
    }

    /// A checkpoint without its tower.
    private struct WithoutTower: TensorSource {
        let inner: Checkpoint
        var name: String { inner.name }
        var byteCount: Int { inner.byteCount }
        var tensorNames: [String] { inner.tensorNames.filter { !$0.contains(".visual.") } }
        func has(_ tensor: String) -> Bool { tensorNames.contains(tensor) }
        func tensor(_ tensor: String, shape: Shape) throws(CheckpointError) -> Tensor {
            guard has(tensor) else { throw .missingTensor(tensor: tensor, folder: name) }
            return try inner.tensor(tensor, shape: shape)
        }
    }

    @Test func `Qwen by itself gives the reference's tokens`() throws {
        let description = try ModelFamilies.describe(DescribeTests.files(Self.name, ["visual": .null]))
        #expect(description.vision == nil && description.templateName == "qwen")
        let device = CPUDevice(threadCount: 1, exact: true)
        let model = try ModelFamilies.load(
            WithoutTower(inner: try Checkpoint(folder: Fixtures.folder(Self.name))),
            description: description, device: device, elementType: .f32)
        let driver = try PagedDriver(model, device: device, elementType: .f32)
        for example in try LlavaGoldenFile.of(Self.name).cases where example.images.isEmpty {
            let (_, chosen) = try driver.answer(
                try driver.sequence(showing: []), to: example.inputIds, inChunksOf: .max,
                count: example.greedyIds.count)
            #expect(chosen == example.greedyIds, "\(example.name)")
        }
    }

    @Test func `the tensors asked for are those of the checkpoint`() throws {
        let description = try ModelFamilies.describe(Fixtures.folder(Self.name))
        let asked = try ModelFamilies.tensorList(
            of: description, device: CPUDevice(threadCount: 1), elementType: .bf16)
        let stored = try Checkpoint(folder: Fixtures.folder(Self.name)).tensorNames
        #expect(asked.map(\.tensor) == stored.sorted())
    }

    @Test func `positions stretched by nothing are themselves, others sum to one`() {
        let (same, weights) = StretchedPositions.terms(side: 3, over: 3)
        for patch in 0..<9 {
            let shares = (0..<16).map { (same[patch * 16 + $0], weights[patch * 16 + $0]) }
            #expect(shares.filter { $0.1 != 0 }.map(\.0) == [Int32(patch)])
        }
        // Twice as many: a quarter and three quarters between neighbours, as PyTorch has it.
        let (rows, twice) = StretchedPositions.terms(side: 4, over: 8)
        #expect(rows.allSatisfy { (0..<16).contains($0) })
        let patch = 3 * 8 + 3  // Its place is 1.25, 1.25.
        let along: [Float] = [-0.105_468_75, 0.878_906_25, 0.261_718_75, -0.035_156_25]
        for (index, weight) in twice[(patch * 16)..<(patch * 16 + 16)].enumerated() {
            #expect(abs(weight - along[index / 4] * along[index % 4]) < 1e-6)
        }
        for first in stride(from: 0, to: twice.count, by: 16) {
            #expect(abs(twice[first..<(first + 16)].reduce(0, +) - 1) < 1e-6)
        }
    }

    private func describe(_ config: String, _ generation: String) throws -> ModelDescription {
        try ModelFamilies.describe(
            ModelFiles(
                config: .parse(Array(config.utf8), file: "config.json"),
                generation: .parse(Array(generation.utf8), file: "generation_config.json")))
    }

    private static let published = """
        {"architectures": ["QWenLMHeadModel"], "attn_dropout_prob": 0.0,
         "auto_map": {"AutoConfig": "configuration_qwen.QWenConfig",
           "AutoModelForCausalLM": "modeling_qwen.QWenLMHeadModel"}, "bf16": false, "emb_dropout_prob": 0.0,
         "fp16": false, "fp32": false, "hidden_size": 4096, "initializer_range": 0.02,
         "intermediate_size": 22016, "kv_channels": 128, "layer_norm_epsilon": 1e-06,
         "max_position_embeddings": 8192, "model_type": "qwen", "no_bias": true, "num_attention_heads": 32,
         "num_hidden_layers": 32, "onnx_safe": null, "rotary_emb_base": 10000, "rotary_pct": 1.0,
         "scale_attn_weights": true, "seq_length": 2048, "tie_word_embeddings": false,
         "tokenizer_type": "QWenTokenizer", "torch_dtype": "bfloat16", "transformers_version": "4.31.0",
         "use_cache": true, "use_dynamic_ntk": true, "use_flash_attn": false, "use_logn_attn": true,
         "visual": {"heads": 16, "image_size": 448, "image_start_id": 151857, "layers": 48,
           "mlp_ratio": 4.9231, "output_dim": 4096, "patch_size": 14, "width": 1664}, "vocab_size": 151936}
        """

    @Test func `the published Qwen-VL-Chat and Qwen-VL`() throws {
        let chat = try describe(
            Self.published,
            #"{"chat_format": "chatml", "do_sample": true, "eos_token_id": 151643, "top_k": 0, "top_p": 0.3}"#
        )
        let text = chat.text, vision = try #require(chat.vision)
        #expect(text.intermediateSize == 11008 && text.heads.headDim == 128 && text.layerCount == 32)
        #expect(text.maxPositions == 2048 && text.epsilon == 1e-6 && text.biases == [.qkv])
        #expect(vision.intermediateSize == 8192 && vision.headDim == 104 && vision.patchesPerSide == 32)
        #expect(vision.resampler == ResamplerShape(side: 16, heads: 32) && vision.positionSide == 16)
        #expect(vision.cut.tokensPerPage == 256 && vision.mean == VisionShape.clipMean)
        #expect(chat.generation.endIDs == [151_643, 151_644, 151_645] && chat.templateName == "qwen")
        let base = try describe(Self.published, #"{"chat_format": "raw", "eos_token_id": 151643}"#)
        #expect(base.generation.endIDs == [151_643] && base.templateName == nil)
    }

    @Test func `sequences end where attention would change`() throws {
        for (stretches, scales, most) in [
            (true, true, 512), (true, false, 512), (false, true, 512), (false, false, 1024),
        ] {
            let files = try DescribeTests.files(
                Self.name, ["use_dynamic_ntk": .bool(stretches), "use_logn_attn": .bool(scales)])
            #expect(try ModelFamilies.describe(files).text.maxPositions == most)
        }
    }

    static let refused: [(key: String, value: JSONValue, named: String)] = [
        ("kv_channels", .int(16), "kv_channels"), ("intermediate_size", .int(97), "intermediate_size"),
        ("rotary_pct", .double(0.5), "rotary_pct"), ("seq_length", .null, "seq_length"),
        ("scale_attn_weights", .bool(false), "scale_attn_weights"), ("visual", .int(1), "visual"),
        ("visual.heads", .int(5), "visual.heads"), ("visual.output_dim", .int(256), "visual.output_dim"),
        ("visual.image_size", .int(57), "visual.image_size"),
        ("visual.image_start_id", .int(542), "visual.image_start_id"),
        ("visual.n_queries", .int(17), "visual.n_queries"), ("visual.n_queries", .int(64), "n_queries"),
        ("visual.mlp_ratio", .int(-1), "visual.mlp_ratio"), ("visual.layers", .int(0), "visual.layers"),
        ("visual.patch_size", .int(0), "visual.patch_size"), ("visual.width", .null, "visual.width"),
        ("num_attention_heads", .int(.max), "num_attention_heads"),
    ]

    @Test(arguments: refused.indices)
    func `what Qwen-VL cannot be is refused by name`(index: Int) throws {
        let (key, value, named) = Self.refused[index]
        let files = try DescribeTests.files(Self.name, [key: value])
        #expect("\(key)") { _ = try ModelFamilies.describe(files) } throws: { "\($0)".contains(named) }
    }
}
