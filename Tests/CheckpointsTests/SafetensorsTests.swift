import Tensors
import Testing

@testable import Checkpoints

/// Files that break the rules of the format must be refused with an error that names them, never trap.
@Suite struct SafetensorsTests {
    static let sound =
        #"{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"#
        + #""b":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]}}"#

    @Test func `a sound file gives its tensors`() throws {
        let folder = try TemporaryFolder().with(
            "model.safetensors", SafetensorsBytes.file(Self.sound, dataCount: 22))
        let checkpoint = try Checkpoint(folder: folder.path)
        #expect(checkpoint.tensorNames == ["a", "b"])
        #expect(checkpoint.byteCount == 22)
        let a = try checkpoint.tensor("a", shape: [2, 2])
        #expect(hostBytes(a) == Array(1...16))
        #expect(a.address.isMultiple(of: 4))
        let b = try checkpoint.tensor("b", shape: [3])
        #expect(b.elementType == .bf16)
        #expect(hostBytes(b) == Array(17...22))
        #expect(b.address.isMultiple(of: 2))
    }

    /// A header, and a word its error must hold.
    static let broken: [(header: String, word: String)] = [
        (
            #"{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"U8","shape":[8],"data_offsets":[8,16]}}"#,
            "overlaps"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"b":{"dtype":"U8","shape":[4],"data_offsets":[18,22]}}"#,
            "hole"
        ),
        (#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[4,0]}}"#, "before its beginning"),
        (#"{"a":{"dtype":"U8","shape":[40],"data_offsets":[0,40]}}"#, "ends at byte 40"),
        (#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#, "tensors end at byte"),
        (#"{"a":{"dtype":"Q4","shape":[22],"data_offsets":[0,22]}}"#, "unknown"),
        (#"{"a":{"shape":[22],"data_offsets":[0,22]}}"#, "unknown"),
        (#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,22]}}"#, "too large"),
        (#"{"a":{"dtype":"F32","shape":[9223372036854775807,2],"data_offsets":[0,22]}}"#, "too large"),
        (#"{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,22]}}"#, "too large"),
        (#"{"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,22]}}"#, "whole numbers"),
        (#"{"a":{"dtype":"U8","shape":[-22],"data_offsets":[0,22]}}"#, "whole numbers"),
        (#"{"a":{"dtype":"U8","shape":[1e30],"data_offsets":[0,22]}}"#, "whole numbers"),
        (#"{"a":{"dtype":"U8","shape":[22.5],"data_offsets":[0,22]}}"#, "whole numbers"),
        (#"{"a":{"dtype":"U8","shape":22,"data_offsets":[0,22]}}"#, "whole numbers"),
        (#"{"a":{"dtype":"U8","shape":[22],"data_offsets":[0,22,44]}}"#, "data_offsets"),
        (#"{"a":{"dtype":"U8","shape":[22],"data_offsets":[-1,21]}}"#, "data_offsets"),
        (#"{"a":{"dtype":"U8","shape":[22],"data_offsets":[0,18446744073709551615]}}"#, "data_offsets"),
        (#"{"a":{"dtype":"F32","shape":[5],"data_offsets":[0,22]}}"#, "does not take"),
        (#"{"a":{"dtype":"F4","shape":[43],"data_offsets":[0,22]}}"#, "does not take"),
        (
            #"{"a":{"dtype":"U8","shape":[22],"data_offsets":[0,22]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#,
            "twice"
        ),
        (#"{"a":7}"#, "no object"),
        (#"[1]"#, "header"),
        (#"{"a":"#, "JSON"),
        (String(repeating: #"{"a":"#, count: 100_000), "deeper"),
        ("", "header"),
    ]

    @Test(arguments: broken.indices)
    func `a broken header is refused with its reason`(index: Int) throws {
        let (header, word) = Self.broken[index]
        let folder = try TemporaryFolder().with(
            "model.safetensors", SafetensorsBytes.file(header, dataCount: 22))
        #expect {
            _ = try Checkpoint(folder: folder.path)
        } throws: { error in
            let message = "\(error)"
            return error is CheckpointError && message.contains(word) && message.contains("model.safetensors")
        }
    }

    @Test(arguments: [0, 1, 200, 1 << 31, 1 << 32, 1 << 62, 1 << 63, UInt64.max] as [UInt64])
    func `a header length that is not true is refused`(length: UInt64) throws {
        let file = SafetensorsBytes.file(Self.sound, dataCount: 22, declared: length)
        let folder = try TemporaryFolder().with("model.safetensors", file)
        #expect(throws: CheckpointError.self) { try Checkpoint(folder: folder.path) }
    }

    @Test(arguments: 0..<16)
    func `a file cut at any sixteenth is refused`(part: Int) throws {
        let whole = try SafetensorsBytes.fixture("internvl-qwen2-hf/model.safetensors")
        for cut in [whole.count * part / 16, whole.count - 1, part] {
            let folder = try TemporaryFolder().with("model.safetensors", Array(whole[..<cut]))
            #expect(throws: CheckpointError.self) { try Checkpoint(folder: folder.path) }
        }
    }

    @Test func `a flipped bit in the header never traps`() throws {
        let whole = SafetensorsBytes.file(Self.sound, dataCount: 22)
        var refusedCount = 0
        for bit in 0..<((whole.count - 22) * 8) {
            var bytes = whole
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            let folder = try TemporaryFolder().with("model.safetensors", bytes)
            do throws(CheckpointError) {
                let checkpoint = try Checkpoint(folder: folder.path)
                _ = try checkpoint.tensor("a", shape: [2, 2])
                _ = try checkpoint.tensor("b", shape: [3])
            } catch {
                refusedCount += 1
            }
        }
        // Only a float type that turns into the other of its width is still a file of these tensors.
        #expect(refusedCount >= (whole.count - 22) * 8 - 8)
    }

    @Test func `tensors at odd addresses are aligned`() throws {
        let header =
            #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"#
            + #""b":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}}"#
        let folder = try TemporaryFolder().with(
            "model.safetensors", SafetensorsBytes.file(header, dataCount: 9))
        let b = try Checkpoint(folder: folder.path).tensor("b", shape: [2])
        #expect(b.address.isMultiple(of: 4))
        #expect(hostBytes(b) == Array(2...9))
    }

    @Test func `a type that is not floating point is refused only when taken`() throws {
        let header = #"{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#
        let folder = try TemporaryFolder().with(
            "model.safetensors", SafetensorsBytes.file(header, dataCount: 8))
        let checkpoint = try Checkpoint(folder: folder.path)
        #expect { _ = try checkpoint.tensor("a", shape: [1]) } throws: { "\($0)".contains("I64") }
    }

    @Test func `a tensor without finite numbers is refused`() throws {
        let header = #"{"a":{"dtype":"F32","shape":[20],"data_offsets":[0,80]}}"#
        var file = SafetensorsBytes.file(header, dataCount: 80)
        for index in 0..<80 {
            file[file.count - 1 - index] = index % 4 == 0 ? 0x7f : index % 4 == 1 ? 0xc0 : 0
        }
        let folder = try TemporaryFolder().with("model.safetensors", file)
        let checkpoint = try Checkpoint(folder: folder.path)
        #expect { _ = try checkpoint.tensor("a", shape: [20]) } throws: { "\($0)".contains("finite") }
    }
}
