import CPUBackend
import Checkpoints
import Foundation
import Synchronization
import Tensors
import TestSupport
import Testing

@testable import Models

/// From sources to models: other spellings, wrong weights, random ones.
@Suite struct LoadingTests {
    /// A checkpoint under other names.
    struct Renamed: TensorSource {
        let inner: Checkpoint
        let rename: @Sendable (String) -> String
        var name: String { inner.name }
        var byteCount: Int { inner.byteCount }
        var tensorNames: [String] { inner.tensorNames.map(rename) }

        func has(_ tensor: String) -> Bool { original(tensor) != nil }

        func tensor(_ tensor: String, shape: Shape) throws(CheckpointError) -> Tensor {
            guard let original = original(tensor) else { throw .missingTensor(tensor: tensor, folder: name) }
            return try inner.tensor(original, shape: shape)
        }

        private func original(_ tensor: String) -> String? {
            inner.tensorNames.first { rename($0) == tensor }
        }
    }

    /// A checkpoint whose stacks of experts have outputs in rows.
    private struct Upright: TensorSource {
        let inner: Checkpoint
        var name: String { inner.name }
        var byteCount: Int { inner.byteCount }
        var tensorNames: [String] { inner.tensorNames }
        func has(_ tensor: String) -> Bool { inner.has(tensor) }

        func tensor(_ tensor: String, shape: Shape) throws(CheckpointError) -> Tensor {
            guard tensor.contains(".experts.") else { return try inner.tensor(tensor, shape: shape) }
            let stack = try inner.tensor(tensor, shape: [shape[0], shape[2], shape[1]])
            let device = CPUDevice(threadCount: 1)
            do {
                let upright = try device.makeTensor(shape, stack.elementType)
                for expert in 0..<shape[0] {
                    let matrix = stack[expert..<(expert + 1)].reshaped([shape[2], shape[1]])
                    let turned = try matrix.transposed()
                    let bytes = turned.withHostBytes { unsafe Array($0) }
                    device.write(bytes[...], to: upright[expert..<(expert + 1)])
                }
                return upright
            } catch { throw .missingTensor(tensor: tensor, folder: name) }
        }
    }

    private let device = CPUDevice(threadCount: 1, exact: true)

    @Test(
        arguments: ["internvl-qwen2-hf", "internvl-llama-hf"],
        ["model.language_model.", "model.language_model.model."])
    func `names with a model prefix load too`(name: String, text: String) throws {
        let source = Renamed(inner: try Checkpoint(folder: Fixtures.folder(name))) { tensor in
            if tensor.hasPrefix("language_model.lm_head") {
                return String(tensor.dropFirst("language_model.".count))
            }
            if tensor.hasPrefix("language_model.model.") {
                return text + tensor.dropFirst("language_model.model.".count)
            }
            return "model." + tensor
        }
        let description = try ModelFamilies.describe(Fixtures.folder(name))
        let model = try ModelFamilies.load(
            source, description: description, device: device, elementType: .f32)
        let driver = try PagedDriver(model, device: device, elementType: .f32)
        let example = GoldenFile.of(name).cases[2]
        let logits = try driver.extend(try driver.sequence(for: example), by: example.inputIds)
        #expect(largestDifference(logits, Fixtures.floats(example.logits)) < 1e-3)
    }

    @Test func `a vocabulary that is not the embedding's is refused with both sizes`() throws {
        let name = "internvl-qwen2-hf"
        var description = try ModelFamilies.describe(Fixtures.folder(name))
        description.text.vocabularyCount = 705
        #expect {
            _ = try ModelFamilies.load(
                folder: Fixtures.folder(name), description: description, device: device, elementType: .f32)
        } throws: {
            let message = "\($0)"
            return message.contains("embed_tokens.weight") && message.contains("[705, 64]")
                && message.contains("[704, 64]")
        }
    }

    @Test func `layers too many or too few are named`() throws {
        let name = "internvl-qwen2-hf"
        var description = try ModelFamilies.describe(Fixtures.folder(name))
        description.text.layerCount = 1
        #expect {
            _ = try ModelFamilies.load(
                folder: Fixtures.folder(name), description: description, device: device, elementType: .f32)
        } throws: { "\($0)".contains("no place for 12 tensors (language_model.model.layers.1.") }
        description.text.layerCount = 3
        #expect {
            _ = try ModelFamilies.load(
                folder: Fixtures.folder(name), description: description, device: device, elementType: .f32)
        } throws: { "\($0)".contains("layers.2.") }
    }

    @Test func `blocks behind the chosen one may stay`() throws {
        let name = "internvl-qwen2-opengvlab"
        var description = try ModelFamilies.describe(Fixtures.folder(name))
        description.vision?.layerCount = 1
        let model = try ModelFamilies.load(
            folder: Fixtures.folder(name), description: description, device: device, elementType: .f32)
        #expect(model.description.vision?.layerCount == 1)
    }

    @Test(arguments: Fixtures.models)
    func `progress reaches the whole`(name: String) throws {
        let last = Mutex(LoadProgress?.none)
        _ = try ModelFamilies.load(
            folder: Fixtures.folder(name), description: try ModelFamilies.describe(Fixtures.folder(name)),
            device: device, elementType: .bf16, loaderThreads: 4,
            progress: { step in
                last.withLock { $0 = $0.map { $0.byteCount > step.byteCount ? $0 : step } ?? step }
            })
        let step = try #require(last.withLock { $0 })
        #expect(step.byteCount == step.totalByteCount)
    }

    @Test(arguments: Fixtures.models)
    func `the tensors a model asks for are those of its checkpoint`(name: String) throws {
        let description = try ModelFamilies.describe(Fixtures.folder(name))
        let list = try ModelFamilies.tensorList(of: description, device: device, elementType: .bf16)
        #expect(list.map(\.tensor) == (try Checkpoint(folder: Fixtures.folder(name))).tensorNames)
    }

    @Test(arguments: Fixtures.models)
    func `a folder of random weights loads and equals loading without one`(name: String) throws {
        let target = NSTemporaryDirectory() + "random-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: target) }
        try ModelFamilies.makeRandom(from: Fixtures.folder(name), to: target, seed: 3, device: device)
        let description = try ModelFamilies.describe(target)
        let loaded = try ModelFamilies.load(
            folder: target, description: description, device: device, elementType: .f32)
        let made = try ModelFamilies.load(
            ModelFamilies.randomWeights(for: description, seed: 3), description: description, device: device,
            elementType: .f32)
        let example = GoldenFile.of(name).cases[2]
        let logits = try [loaded, made].map { model in
            let driver = try PagedDriver(model, device: device, elementType: .f32)
            return try driver.extend(try driver.sequence(for: example), by: example.inputIds)
        }
        #expect(logits[0] == logits[1])
        #expect(logits[0].allSatisfy { $0.isFinite && abs($0) < 100 })
        #expect(Set(logits[0]).count > 100)
    }

    @Test func `a folder with pickle only says what to do`() throws {
        let folder = NSTemporaryDirectory() + "pickle-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try Checkpoint.copyOtherFiles(from: Fixtures.folder("internvl-qwen2-hf"), to: folder)
        try Data([0]).write(to: URL(fileURLWithPath: folder + "/pytorch_model.bin"))
        let description = try ModelFamilies.describe(folder)
        #expect {
            _ = try ModelFamilies.load(
                folder: folder, description: description, device: device, elementType: .f32)
        } throws: { "\($0)".contains("pickle is never loaded") }
    }

    @Test func `stacks of experts load with inputs or outputs in rows`() throws {
        let checkpoint = try Checkpoint(folder: Fixtures.folder("qwen3-vl-moe"))
        let description = try ModelFamilies.describe(Fixtures.folder("qwen3-vl-moe"))
        let example = try #require(QwenGoldenFile.of("qwen3-vl-moe").cases.first { $0.images.isEmpty })
        for source in [checkpoint, Upright(inner: checkpoint)] as [any TensorSource] {
            let model = try ModelFamilies.load(
                source, description: description, device: device, elementType: .f32)
            let driver = try PagedDriver(model, device: device, elementType: .f32)
            driver.places = { index in Array(repeating: Int32(index), count: 3) }
            let sequence = PagedDriver.Sequence(images: try device.makeTensor([1, 48], .f32))
            let logits = try driver.extend(sequence, by: example.inputIds)
            #expect(largestDifference(logits, Fixtures.floats(example.logits)) < 2e-4)
        }
    }
}
