import Engine
import Images
import Prompts
import Scheduling
import TestSupport
import Testing
import Tokenizers

/// Whole answers of Qwen2-VL, Qwen2.5-VL and Qwen3-VL through prompts and engine against the reference.
struct QwenVLEngineTests {
    @Test(arguments: QwenGoldenFile.models)
    func `a conversation becomes the reference's ids and positions`(name: String) throws {
        let model = try TestModel(name)
        for golden in try QwenGoldenFile.of(name).cases {
            let prompt = try model.prompt(of: golden), count = golden.inputIds.count
            #expect(prompt.tokenIDs == golden.inputIds, "\(golden.name)")
            #expect(prompt.images.map(\.columns) == golden.images.map(\.gridColumns))
            #expect(prompt.images.map(\.tokenCount) == golden.images.map { $0.gridRows * $0.gridColumns })
            // As text, with the mark of an image token between the two others or without.
            let images = try model.images(of: golden)
            for text in [golden.prompt, golden.prompt.replacing("<|image_pad|>", with: "")] {
                let marked = try model.prompts.prompt(text: text, images: images, addSpecialTokens: true)
                #expect(marked == prompt, "\(golden.name)")
            }
            guard let positions = PlanePositions(prompt) else {
                #expect(golden.images.isEmpty)
                continue
            }
            for start in [0, 1, count / 2, count - 1] {
                let places = positions.places(of: start..<count)
                for axis in 0..<3 {
                    #expect(
                        places.map { $0[axis] } == Array(golden.positions[axis][start...]), "\(golden.name)")
                }
            }
            let next = (golden.positions.compactMap { $0.max() }.max() ?? 0) + 1
            #expect(
                positions.places(of: count..<(count + 2)) == [
                    .init(repeating: next), .init(repeating: next + 1),
                ])
        }
    }

    @Test(arguments: QwenGoldenFile.models)
    func `the pixels are the reference's`(name: String) throws {
        let decoder = LibraryImageDecoder(), golden = try QwenGoldenFile.of(name)
        let options = PatchOptions(
            patchSize: golden.patch, minPixels: golden.minPixels, maxPixels: golden.maxPixels)
        for image in golden.cases.flatMap(\.images) {
            let pixels = try decoder.decode(Fixtures.bytes("images/\(image.file)"), limits: ImageLimits())
            let plan = PatchPlan(width: pixels.width, height: pixels.height, options: options)
            #expect(plan.grid == TokenGrid(rows: image.gridRows, columns: image.gridColumns))
            let resized = resize(
                pixels, toWidth: plan.grid.columns * options.tokenSize,
                height: plan.grid.rows * options.tokenSize, filter: .bicubic)
            #expect(
                SHA256.hexadecimal(SHA256.digest(of: resized.bytes)) == image.pixelsSha256, "\(image.file)")
        }
    }

    @Test(arguments: QwenGoldenFile.models)
    func `all at once, and again from the caches, give the reference's tokens`(name: String) async throws {
        try await Answer.expectTokensFromCaches(of: QwenGoldenFile.of(name).cases, TestModel(name))
    }

    @Test(arguments: QwenGoldenFile.models)
    func `with few pages, chunks that end within a picture and three cached ones the tokens stay the same`(
        name: String,
    ) async throws {
        let model = try TestModel(name)
        let engine = try model.makeEngine { $0.cramp(cachedTokens: 208) }
        try await Answer.expectTokensOfCramped(QwenGoldenFile.of(name).cases, model, engine)
        await engine.shutDown(drainSeconds: 0)
    }

    @Test(arguments: QwenGoldenFile.models)
    func `buffers made for few short sequences hold the largest step`(name: String) async throws {
        try await Answer.expectTokensOfFewShort(
            QwenGoldenFile.of(name).cases, length: 256, TestModel(name))
    }

    @Test func `a mark that a user writes beside the template's own stays text`() throws {
        let model = try TestModel("qwen2_5-vl")
        let golden = try #require(QwenGoldenFile.of("qwen2_5-vl").cases.first { $0.name == "one-image" })
        let parts: [Message.Part] = [.image, .text("What does <image> do in HTML?")]
        let prompt = try model.prompts.prompt(
            conversation: Conversation(messages: [Message(role: "user", parts: parts)]),
            images: try model.images(of: golden))
        #expect(prompt.images.count == 1)
        let text = model.prompts.tokenizer.decode(prompt.tokenIDs, skipSpecialTokens: false)
        #expect(text.contains("What does <image> do in HTML?"))
    }
}
