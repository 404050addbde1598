import Foundation
import Images
package import Prompts
package import Scheduling

/// A golden file of LLaVA; `Tests/Fixtures/golden/README.md` says what the fields mean.
package struct LlavaGoldenFile: Decodable, Sendable {
    package let tile: Int
    package let hiddenSize: Int
    package let cases: [LlavaGoldenCase]

    /// The checkpoint folders.
    package static let models = ["llava", "llava-siglip", "llava-next", "llava-onevision"]

    /// The answers for `model`.
    package static func of(_ model: String) throws -> LlavaGoldenFile {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(LlavaGoldenFile.self, from: Data(Fixtures.bytes("golden/\(model).json")))
    }
}

/// A conversation and the answers of the reference.
package struct LlavaGoldenCase: Decodable, Sendable {
    package struct Image: Decodable, Sendable {
        package let file: String
        package let width: Int
        package let height: Int
        package let tokens: Int
        package let tiles: Int
        package let tilesSha256: String
    }

    package let name: String
    package let messages: [GoldenCase.Message]
    package let prompt: String
    package let images: [Image]
    package let inputIds: [Int32]
    package let logits: String
    package let greedyIds: [Int32]
    package let embeddingRows: [Int]?
    package let embeddings: String?
}

extension TestModel {
    /// The planned pictures of a golden case.
    package func images(of golden: LlavaGoldenCase) throws -> [PlannedImage] {
        try golden.images.map {
            try prompts.plan(Fixtures.bytes("images/\($0.file)"), maxTiles: nil, limits: ImageLimits())
        }
    }

    /// The prompt of a golden case, from its conversation.
    package func prompt(of golden: LlavaGoldenCase) throws -> PreparedPrompt {
        try prompts.prompt(
            conversation: Conversation(messages: golden.messages.map(\.prompted)), images: images(of: golden))
    }
}
