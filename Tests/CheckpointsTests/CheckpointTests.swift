import Tensors
import Testing

@testable import Checkpoints

/// Folders: shards, their index, and what stands in for weights.
@Suite struct CheckpointTests {
    static let one = SafetensorsBytes.file(
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, dataCount: 4)
    static let two = SafetensorsBytes.file(
        #"{"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, dataCount: 4)

    private func folder(_ index: String) throws -> TemporaryFolder {
        try TemporaryFolder().with("1.safetensors", Self.one).with("2.safetensors", Self.two)
            .with("model.safetensors.index.json", index)
    }

    @Test func `shards are one table`() throws {
        let folder = try folder(#"{"metadata":{},"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}"#)
        let checkpoint = try Checkpoint(folder: folder.path)
        #expect(checkpoint.tensorNames == ["a", "b"])
        #expect(try checkpoint.tensor("b", shape: [1]).elementCount == 1)
    }

    @Test(arguments: [
        (#"{"a":"../1.safetensors"}"#, "weight_map.a"), (#"{"a":"/etc/1.safetensors"}"#, "weight_map.a"),
        (#"{"a":".1.safetensors"}"#, "weight_map.a"), (#"{"a":"1.bin"}"#, "weight_map.a"),
        (#"{"a":"x/1.safetensors"}"#, "weight_map.a"), (#"{"a":7}"#, "weight_map.a"), ("{}", "weight_map"),
        (#"{"a":"3.safetensors"}"#, "3.safetensors is missing"), (#"{"b":"1.safetensors"}"#, "tensor b"),
        (#"{"a":"1.safetensors","b":"1.safetensors"}"#, "tensor b"), ("7", "weight_map"),
    ])
    func `an index that leads astray is refused`(map: String, word: String) throws {
        let folder = try folder(#"{"weight_map":\#(map)}"#)
        #expect {
            _ = try Checkpoint(folder: folder.path)
        } throws: { $0 is CheckpointError && "\($0)".contains(word) }
    }

    @Test func `a tensor in two shards is refused`() throws {
        let folder = try folder(#"{"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}"#)
        try folder.with("2.safetensors", Self.one)
        #expect { _ = try Checkpoint(folder: folder.path) } throws: { "\($0)".contains("tensor a") }
    }

    @Test(arguments: ["pytorch_model.bin", "model.pt", "consolidated.00.pth"])
    func `a folder with pickle only is refused with the way out`(file: String) throws {
        let folder = try TemporaryFolder().with(file, "anything")
        #expect {
            _ = try Checkpoint(folder: folder.path)
        } throws: { "\($0)".contains("pickle is never loaded") && "\($0)".contains("convert") }
    }

    @Test func `pickle beside safetensors is not touched`() throws {
        let folder = try TemporaryFolder().with("model.safetensors", Self.one).with("pytorch_model.bin", "x")
        #expect(try Checkpoint(folder: folder.path).tensorNames == ["a"])
    }

    @Test func `a folder without weights, or none at all, says so`() throws {
        let folder = try TemporaryFolder()
        #expect { _ = try Checkpoint(folder: folder.path) } throws: { "\($0)".contains("is missing") }
        #expect {
            _ = try Checkpoint(folder: folder.path + "/no")
        } throws: { "\($0)".contains("No such file") }
        #expect { _ = try ModelFiles(folder: folder.path) } throws: {
            "\($0)".contains("config.json is missing")
        }
    }
}
