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
        try Fixtures.golden(model)
    }
}

/// A conversation and the answers of the reference.
package struct QwenGoldenCase: Decodable, GoldenConversation {
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

    package var imageFiles: [String] { images.map(\.file) }
}
