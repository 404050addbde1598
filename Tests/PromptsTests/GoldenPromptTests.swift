import Images
import Prompts
import Scheduling
import TestSupport
import Testing

/// Whole prompts against the reference's token ids.
struct GoldenPromptTests {
    /// The cases whose tiling a request can ask for: the thumbnail is the model's choice.
    private func cases(_ model: String) -> [GoldenCase] {
        GoldenFile.of(model).cases.filter { $0.tiling.thumbnail != false }
    }

    @Test(arguments: Fixtures.models)
    func `a conversation becomes the reference's token ids`(name: String) throws {
        let model = try TestModel(name)
        for golden in cases(name) {
            let prompt = try model.prompt(of: golden)
            #expect(prompt.tokenIDs == golden.inputIds, "\(golden.name)")
            #expect(prompt.images.map(\.tokenCount) == golden.images.map { $0.tiles * 16 })
        }
    }

    @Test(arguments: Fixtures.models)
    func `a text with image marks becomes the same ids`(name: String) throws {
        let model = try TestModel(name)
        for golden in cases(name) {
            let images = try model.images(of: golden)
            let marked = golden.opengvlabPrompt
            let paired = marked.split(separator: "<image>", omittingEmptySubsequences: false)
                .joined(separator: "<img></img>")
            for text in [marked, paired] {
                let prompt = try model.prompts.prompt(text: text, images: images, addSpecialTokens: true)
                #expect(prompt.tokenIDs == golden.inputIds, "\(golden.name)")
            }
        }
    }

    @Test func `our own tiles are the reference's`() throws {
        let model = try TestModel("internvl-qwen2-hf")
        for golden in cases("internvl-qwen2-hf") {
            for (image, planned) in zip(golden.images, try model.images(of: golden)) {
                let tiles = try planned.picture().tiles
                #expect(tiles.tileCount == image.tiles)
                #expect(
                    SHA256.hexadecimal(SHA256.digest(of: tiles.bytes)) == image.tilesSha256, "\(image.file)")
            }
        }
    }

    @Test func `image tokens stand where the spans say`() throws {
        let model = try TestModel("internvl-qwen2-hf")
        for golden in cases("internvl-qwen2-hf") {
            let prompt = try model.prompt(of: golden)
            let inSpans = Set(prompt.images.flatMap(\.range))
            for (index, id) in prompt.tokenIDs.enumerated() {
                #expect((id == 692) == inSpans.contains(index))
            }
        }
    }
}
