import Foundation
import TestSupport
import Testing

@testable import Models

/// What names a model to other processes.
struct ModelIdentityTests {
    /// A copy of a fixture somewhere else, which `change` may alter.
    private func identity(
        of name: String, computation: String = "f32", random: Bool = false,
        _ change: (URL) throws -> Void = { _ in },
    ) throws -> String {
        let files = FileManager.default
        let copy = files.temporaryDirectory.appendingPathComponent("identity-\(UUID().uuidString)")
        try files.copyItem(at: Fixtures.url("models/\(name)"), to: copy)
        defer { try? files.removeItem(at: copy) }
        try change(copy)
        return try ModelIdentity.digest(folder: copy.path, hasRandomWeights: random, computation: computation)
    }

    /// Alters a byte of a file: the one at `place`, from its end where it is below zero.
    private func flip(_ file: String, at place: Int) -> (URL) throws -> Void {
        { folder in
            let url = folder.appendingPathComponent(file)
            var bytes = try [UInt8](Data(contentsOf: url))
            bytes[place < 0 ? bytes.count + place : place] ^= 1
            try Data(bytes).write(to: url)
        }
    }

    @Test func `the same files elsewhere are the same model`() throws {
        let name = "internvl-qwen2-hf"
        let digest = try identity(of: name)
        #expect(try digest.count == 64 && digest == identity(of: name))
        #expect(
            try digest
                == identity(of: name) { try Data([1]).write(to: $0.appendingPathComponent("README.md")) })
    }

    @Test func `weights, configuration and what computes make another`() throws {
        let name = "internvl-qwen2-hf"
        let digests = try [
            identity(of: name), identity(of: name, computation: "bf16"), identity(of: name, random: true),
            identity(of: name, flip("model.safetensors", at: -1)),
            identity(of: name) { folder in
                let url = folder.appendingPathComponent("config.json")
                try (Data(contentsOf: url) + Data([10])).write(to: url)
            },
            identity(of: name) { folder in
                try Data([10]).write(to: folder.appendingPathComponent("processor_config.json"))
            },
            identity(of: "internvl-qwen3-hf"),
        ]
        #expect(Set(digests).count == digests.count)
    }

    @Test func `weights that are not there are an error`() throws {
        #expect(throws: ModelError.self) {
            try identity(of: "internvl-qwen2-hf") {
                try FileManager.default.removeItem(at: $0.appendingPathComponent("model.safetensors"))
            }
        }
    }
}
