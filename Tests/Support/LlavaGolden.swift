/// A golden file of LLaVA; `Tests/Fixtures/golden/README.md` says what the fields mean.
package struct LlavaGoldenFile: Decodable, Sendable {
    package let tile: Int
    package let hiddenSize: Int
    package let cases: [LlavaGoldenCase]

    /// The checkpoint folders.
    package static let models = ["llava", "llava-siglip", "llava-next", "llava-onevision"]
    /// Those of SmolVLM2 and Idefics3, whose files have the same fields.
    package static let splitting = ["smolvlm", "idefics3"]

    /// The answers for `model`.
    package static func of(_ model: String) throws -> LlavaGoldenFile {
        try Fixtures.golden(model)
    }
}

/// A conversation and the answers of the reference.
package struct LlavaGoldenCase: Decodable, GoldenConversation {
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

    package var imageFiles: [String] { images.map(\.file) }
}
