import Synchronization
import Tensors
import Testing

@testable import Checkpoints

/// The cursor over names, random weights, the writer, and loading by several threads.
@Suite struct WeightsTests {
    private func folder() throws -> TemporaryFolder {
        let header =
            #"{"m.layers.0.w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"#
            + #""m.layers.1.w":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},"#
            + #""m.rotary.inv_freq":{"dtype":"F32","shape":[1],"data_offsets":[16,20]}}"#
        return try TemporaryFolder().with("model.safetensors", SafetensorsBytes.file(header, dataCount: 20))
    }

    @Test func `every tensor is accounted for`() throws {
        let folder = try folder()
        let heard = Mutex<[LoadProgress]>([])
        let weights = Weights(try Checkpoint(folder: folder.path)) { step in
            heard.withLock { $0.append(step) }
        }
        _ = try weights["m"]["layers"][0].take("w", shape: [2])
        #expect {
            try weights.finish { $0.hasSuffix("inv_freq") }
        } throws: { "\($0)".contains("m.layers.1.w") && !"\($0)".contains("inv_freq") }
        _ = try weights["m.layers"][1].take("w", shape: [2])
        try weights.finish { $0.hasSuffix("inv_freq") }
        #expect(heard.withLock { $0 }.map(\.byteCount) == [8, 16])
        #expect(heard.withLock { $0 }.allSatisfy { $0.totalByteCount == 20 })
    }

    @Test func `missing and misshapen tensors are named`() throws {
        let folder = try folder()
        let weights = Weights(try Checkpoint(folder: folder.path))
        #expect {
            _ = try weights["m"]["layers"][2].take("w", shape: [2])
        } throws: { "\($0)".contains("m.layers.2.w") }
        #expect {
            _ = try weights["m"]["layers"][0].take("w", shape: [3, 1])
        } throws: {
            "\($0)".contains("[2]") && "\($0)".contains("[3, 1]") && "\($0)".contains("m.layers.0.w")
        }
    }

    @Test func `the first known spelling counts`() throws {
        let folder = try folder()
        let weights = Weights(try Checkpoint(folder: folder.path))
        #expect(weights.first(of: ["model.m", "m"], with: "layers.0.w").has("layers.1.w"))
        #expect(weights[""].has("m.layers.0.w"))
    }

    @Test func `random weights depend on name and seed alone`() throws {
        func bytes(_ name: String, seed: UInt64, _ shape: Shape = [64, 64]) throws -> [UInt8] {
            let source = RandomSource(seed: seed, elementType: .f32) { _ in 0.02 }
            return hostBytes(try source.tensor(name, shape: shape))
        }
        #expect(try bytes("a.weight", seed: 1) == bytes("a.weight", seed: 1))
        #expect(try bytes("a.weight", seed: 1) != bytes("a.weight", seed: 2))
        #expect(try bytes("a.weight", seed: 1) != bytes("b.weight", seed: 1))
        #expect(try bytes("norm.bias", seed: 1, [4]) == Array(repeating: 0, count: 16))
        #expect(try bytes("mlp1.0.weight", seed: 1, [1]) == [0, 0, 0x80, 0x3f])
        let values = try bytes("a.weight", seed: 3).chunks(of: 4).map { bytes in
            Float(bitPattern: bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) })
        }
        let mean = values.reduce(0, +) / Float(values.count)
        let deviation = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float(values.count))
            .squareRoot()
        #expect(abs(mean) < 0.002)
        #expect(abs(deviation - 0.02) < 0.001)
    }

    @Test(arguments: [ElementType.bf16, .f32])
    func `a written file reads back`(type: ElementType) throws {
        let folder = try TemporaryFolder()
        let source = RandomSource(seed: 5, elementType: type) { _ in 0.02 }
        let shapes: [(String, Shape)] = [("x.weight", [3, 5]), ("y.weight", [7]), ("z", [1, 1, 2])]
        let entries = shapes.map { SafetensorsWriter.Entry(tensor: $0.0, shape: $0.1, elementType: type) }
        var writer = try SafetensorsWriter(path: folder.path + "/model.safetensors", entries: entries)
        for (name, shape) in shapes { try writer.append(source.tensor(name, shape: shape)) }
        try writer.finish()
        let checkpoint = try Checkpoint(folder: folder.path)
        for (name, shape) in shapes {
            let written = try source.tensor(name, shape: shape)
            let read = try checkpoint.tensor(name, shape: shape)
            #expect(hostBytes(written) == hostBytes(read))
        }
        #expect(throws: CheckpointError.self) {
            _ = try SafetensorsWriter(path: folder.path + "/model.safetensors", entries: entries)
        }
    }

    @Test(arguments: [1, 2, 5, 50])
    func `parallel results come in order and an error comes out`(threads: Int) throws {
        let squares = inParallel(count: 20, threads: threads) { $0 * $0 }
        #expect(squares == (0..<20).map { $0 * $0 })
        #expect(throws: CheckpointError.missingTensor(tensor: "7", folder: "")) {
            _ = try inParallel(count: 20, threads: threads) { (index: Int) throws(CheckpointError) -> Int in
                if index == 7 { throw .missingTensor(tensor: "7", folder: "") }
                return index
            }
        }
        #expect(inParallel(count: 0, threads: threads) { $0 }.isEmpty)
    }
}

extension Array {
    fileprivate func chunks(of size: Int) -> [ArraySlice<Element>] {
        stride(from: 0, to: count, by: size).map { self[$0..<Swift.min($0 + size, count)] }
    }
}
