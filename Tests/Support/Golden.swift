package import Foundation

/// A file of `Tests/Fixtures/golden`; its README says what the fields mean.
package struct GoldenFile: Decodable, Sendable {
    package let models: [String]
    package let tile: Int
    package let tokensPerTile: Int
    package let vocabulary: Int
    package let hiddenSize: Int
    package let cases: [GoldenCase]
    package let ropeInputIds: [Int32]?

    /// The file's own name, from the folders it is true for: `internvl-llama.json` for `internvl-llama-hf`.
    package var name: String { models[0].split(separator: "-").prefix(2).joined(separator: "-") + ".json" }

    /// Every file: one a text tower.
    package static let all = ["qwen2", "llama", "qwen3", "phi3", "mistral", "internlm2"].map {
        load("internvl-\($0)")
    }

    /// The file that is true for the checkpoint folder `model`.
    package static func of(_ model: String) -> GoldenFile {
        all.first { $0.models.contains(model) } ?? all[0]
    }

    private static func load(_ name: String) -> GoldenFile {
        do {
            return try Fixtures.golden(name)
        } catch {
            preconditionFailure("\(name): \(error)")
        }
    }
}

/// A conversation and the answers of the reference.
package struct GoldenCase: Decodable, Sendable {
    /// A message; its content is a list of parts, a plain string being one.
    package struct Message: Decodable, Sendable {
        package let role: String
        package let parts: [Part]

        private enum Key: String, CodingKey {
            case role
            case content
        }

        package init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Key.self)
            role = try container.decode(String.self, forKey: .role)
            if let text = try? container.decode(String.self, forKey: .content) {
                parts = [Part(type: "text", text: text)]
            } else {
                parts = try container.decode([Part].self, forKey: .content)
            }
        }
    }

    package struct Part: Decodable, Sendable {
        package let type: String
        package var text: String?
    }

    package struct Image: Decodable, Sendable {
        package let file: String
        package let tiles: Int
        package let columns: Int
        package let rows: Int
        package let tilesSha256: String
    }

    package struct Step: Decodable, Sendable {
        package let topIds: [Int32]
        package let topLogprobs: [Float]
    }

    package struct Tiling: Decodable, Sendable {
        package let minTiles: Int?
        package let maxTiles: Int?
        package let thumbnail: Bool?
    }

    package let name: String
    package let messages: [Message]
    package let tiling: Tiling
    package let prompt: String
    package let opengvlabPrompt: String
    package let images: [Image]
    package let inputIds: [Int32]
    package let logits: String
    package let greedyIds: [Int32]
    package let steps: [Step]
    package let tilesFile: String?
    package let embeddingRows: [Int]?
    package let embeddings: String?
}

/// Where the fixtures lie.
package enum Fixtures {
    /// Every checkpoint folder's name.
    package static let models = GoldenFile.all.flatMap(\.models)

    /// The place of `path` below `Tests/Fixtures`.
    package static func url(_ path: String) -> URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Fixtures/\(path)")
    }

    /// A checkpoint's folder.
    package static func folder(_ model: String) -> String { url("models/\(model)").path }

    /// The bytes of a file; a test cannot go on without them.
    package static func bytes(_ path: String) -> [UInt8] {
        do {
            return [UInt8](try Data(contentsOf: url(path)))
        } catch {
            preconditionFailure("\(path): \(error)")
        }
    }

    /// The numbers of a base64 field.
    package static func floats(_ base64: String) -> [Float] {
        let data = Data(base64Encoded: base64) ?? Data()
        return stride(from: 0, to: data.count - 3, by: 4).map { offset in
            let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(data[offset + $1]) << (8 * UInt32($1)) }
            return Float(bitPattern: bits)
        }
    }
}
