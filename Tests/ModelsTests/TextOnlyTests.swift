import CPUBackend
import Checkpoints
import Foundation
import JSON
import Tensors
import TestSupport
import Testing

@testable import Models

/// The text towers of the fixtures as checkpoints of their own.
@Suite struct TextOnlyTests {
    /// The part of a checkpoint below `language_model`.
    private struct TextPart: TensorSource {
        static let prefix = "language_model."
        let inner: Checkpoint
        var name: String { inner.name }
        var byteCount: Int { inner.byteCount }
        var tensorNames: [String] {
            inner.tensorNames.filter { $0.hasPrefix(Self.prefix) }.map {
                String($0.dropFirst(Self.prefix.count))
            }
        }
        func has(_ tensor: String) -> Bool { inner.has(Self.prefix + tensor) }
        func tensor(_ tensor: String, shape: Shape) throws(CheckpointError) -> Tensor {
            try inner.tensor(Self.prefix + tensor, shape: shape)
        }
    }

    /// The configuration of the text tower of `name`, as a checkpoint of its own has it.
    private func files(_ name: String, architecture: String) throws -> ModelFiles {
        let config = try ModelFiles(folder: Fixtures.folder(name)).config
        let text = try #require(config.value("text_config", "llm_config")?.object)
        var settings = text
        settings.set("architectures", .array([.string(architecture)]))
        if settings["tie_word_embeddings"] == nil, let tied = config.value("tie_word_embeddings") {
            settings.set("tie_word_embeddings", tied)
        }
        return ModelFiles(config: ConfigSection(file: "config.json", settings: settings))
    }

    @Test(arguments: [
        ("internvl-qwen2-hf", "Qwen2ForCausalLM"), ("internvl-llama-hf", "LlamaForCausalLM"),
        ("internvl-qwen3-hf", "Qwen3ForCausalLM"), ("internvl-phi3-hf", "Phi3ForCausalLM"),
        ("internvl-mistral-hf", "MistralForCausalLM"),
        ("internvl-internlm2-opengvlab", "InternLM2ForCausalLM"),
    ])
    func `a text tower by itself gives the reference's tokens`(name: String, architecture: String) throws {
        let description = try ModelFamilies.describe(files(name, architecture: architecture))
        #expect(description.vision == nil && description.modelType == description.textModelType)
        let device = CPUDevice(threadCount: 1, exact: true)
        let model = try ModelFamilies.load(
            TextPart(inner: try Checkpoint(folder: Fixtures.folder(name))), description: description,
            device: device, elementType: .f32)
        let driver = try PagedDriver(model, device: device, elementType: .f32)
        for example in GoldenFile.of(name).cases where example.images.isEmpty {
            let sequence = try driver.sequence(for: example)
            var logits = try driver.extend(sequence, by: example.inputIds)
            #expect(largestDifference(logits, Fixtures.floats(example.logits)) < 1e-3)
            for expected in example.greedyIds {
                #expect(likeliest(1, of: logits) == [expected])
                logits = try driver.extend(sequence, by: [expected])
            }
            driver.release(sequence)
        }
        let workspace = try Workspace(device: device, byteCount: 0)
        #expect(throws: DeviceError.self) {
            try model.encode(
                tiles: try device.makeTensor([1, 1, 1, 3], .u8), grids: [], workspace: workspace)
        }
    }

    /// The answers to a text-only checkpoint.
    private struct Golden: Decodable {
        struct Case: Decodable {
            let name: String
            let inputIds: [Int32]
            let logits: String
            let greedyIds: [Int32]
        }
        let cases: [Case]
    }

    @Test func `a mixture of experts by itself gives the reference's tokens`() throws {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let golden = try decoder.decode(Golden.self, from: Data(Fixtures.bytes("golden/qwen3-moe.json")))
        let driver = try FixtureModel.driver("qwen3-moe", as: .f32)
        #expect(driver.model.description.text.experts?.layers == [1, 3])
        var largest: Float = 0
        for example in golden.cases {
            for chunk in [Int.max, 7] {
                let sequence = PagedDriver.Sequence(images: try driver.device.makeTensor([1, 40], .f32))
                var logits: [Float] = [], rest = example.inputIds[...]
                while !rest.isEmpty {
                    logits = try driver.extend(sequence, by: Array(rest.prefix(chunk)))
                    rest = rest.dropFirst(chunk)
                }
                largest = max(largest, largestDifference(logits, Fixtures.floats(example.logits)))
                for expected in example.greedyIds {
                    #expect(likeliest(1, of: logits) == [expected], "\(example.name)")
                    logits = try driver.extend(sequence, by: [expected])
                }
                driver.release(sequence)
            }
        }
        print("qwen3-moe: logits differ by at most \(largest)")
        #expect(largest < 2e-4)
    }

    @Test func `an architecture and a type that disagree are refused`() throws {
        #expect {
            _ = try ModelFamilies.describe(files("internvl-qwen2-hf", architecture: "LlamaForCausalLM"))
        } throws: { "\($0)".contains("LlamaForCausalLM") }
    }
}
