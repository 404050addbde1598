import Checkpoints
import Foundation
import Tensors

/// A folder that goes when the value does.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "checkpoints-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes a file; the folder again.
    @discardableResult
    func with(_ name: String, _ bytes: [UInt8]) throws -> TemporaryFolder {
        try Data(bytes).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
        return self
    }

    @discardableResult
    func with(_ name: String, _ text: String) throws -> TemporaryFolder { try with(name, Array(text.utf8)) }

    func bytes(_ name: String) throws -> [UInt8] {
        try [UInt8](Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)")))
    }
}

/// Files made and found by tests.
enum SafetensorsBytes {
    /// A file of this header and so many data bytes: 1, 2, 3 and so on.
    static func file(_ header: String, dataCount: Int, declared: UInt64? = nil) -> [UInt8] {
        let length = declared ?? UInt64(header.utf8.count)
        return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + Array(header.utf8)
            + (0..<dataCount).map { UInt8(truncatingIfNeeded: $0 % 50 + 1) }
    }

    /// A checkpoint of the fixtures.
    static func fixture(_ path: String) throws -> [UInt8] {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        return try [UInt8](Data(contentsOf: tests.appendingPathComponent("Fixtures/models/\(path)")))
    }
}

/// The bytes of a host tensor.
func hostBytes(_ tensor: Tensor) -> [UInt8] { tensor.withHostBytes { unsafe Array($0) } }
