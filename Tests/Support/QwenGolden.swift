import Foundation
import Images
package import Prompts
package import Scheduling

/// A golden file of Qwen-VL; `Tests/Fixtures/golden/README.md` says what the fields mean.
package struct QwenGoldenFile: Decodable, Sendable {
    package let patch: Int
    package let vocabulary: Int
    package let hiddenSize: Int
    package let minPixels: Int
    package let maxPixels: Int
    package let cases: [QwenGoldenCase]

    /// The checkpoint folders.
    package static let models = ["qwen2-vl", "qwen2_5-vl", "qwen3-vl", "qwen3-vl-moe"]

    /// The answers for `model`.
    package static func of(_ model: String) throws -> QwenGoldenFile {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(
            QwenGoldenFile.self, from: Data(Fixtures.bytes("golden/\(model).json")))
    }
}

/// A conversation and the answers of the reference.
package struct QwenGoldenCase: Decodable, Sendable {
    package struct Image: Decodable, Sendable {
        package let file: String
        package let gridRows: Int
        package let gridColumns: Int
        package let pixelsSha256: String
    }

    package let name: String
    package let messages: [GoldenCase.Message]
    package let prompt: String
    package let images: [Image]
    package let inputIds: [Int32]
    /// Time, height and width of each token.
    package let positions: [[Int32]]
    package let logits: String
    package let greedyIds: [Int32]
    package let steps: [GoldenCase.Step]
    package let embeddingRows: [Int]?
    package let embeddings: String?
    /// What the first text layers get.
    package let deepstack: [String]?
}

extension TestModel {
    /// The planned pictures of a golden case.
    package func images(of golden: QwenGoldenCase) throws -> [PlannedImage] {
        try golden.images.map {
            try prompts.plan(Fixtures.bytes("images/\($0.file)"), maxTiles: nil, limits: ImageLimits())
        }
    }

    /// The prompt of a golden case, from its conversation.
    package func prompt(of golden: QwenGoldenCase) throws -> PreparedPrompt {
        try prompts.prompt(
            conversation: Conversation(messages: golden.messages.map(\.prompted)), images: images(of: golden))
    }
}

extension GoldenCase.Message {
    /// The message as prompts have it.
    var prompted: Message {
        Message(role: role, parts: parts.map { $0.text.map { .text($0) } ?? .image })
    }
}
