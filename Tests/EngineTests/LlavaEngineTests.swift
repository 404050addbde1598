import Engine
import Images
import Prompts
import Scheduling
import TestSupport
import Testing
import Tokenizers

/// Whole answers of LLaVA, SmolVLM2 and Idefics3 through prompts and engine against the reference.
struct LlavaEngineTests {
    private static let all = LlavaGoldenFile.models + LlavaGoldenFile.splitting

    @Test(arguments: all)
    func `a conversation becomes the reference's ids`(name: String) throws {
        let model = try TestModel(name)
        for golden in try LlavaGoldenFile.of(name).cases {
            let prompt = try model.prompt(of: golden), images = try model.images(of: golden)
            #expect(prompt.tokenIDs == golden.inputIds, "\(golden.name)")
            #expect(prompt.images.map(\.tokenCount) == golden.images.map(\.tokens))
            // As text, and as ids.
            let text = try model.prompts.prompt(text: golden.prompt, images: images, addSpecialTokens: true)
            #expect(text == prompt, "\(golden.name)")
            let ids = model.prompts.tokenizer.encode(golden.prompt, addSpecialTokens: false)
            #expect(try model.prompts.prompt(tokenIDs: ids.map(Int.init), images: images) == prompt)
        }
    }

    @Test(arguments: all)
    func `all at once, and again from the caches, give the reference's tokens`(name: String) async throws {
        try await Answer.expectTokensFromCaches(of: LlavaGoldenFile.of(name).cases, TestModel(name))
    }

    @Test(arguments: all)
    func `with few pages, chunks that end within a picture and three cached ones the tokens stay the same`(
        name: String,
    ) async throws {
        let model = try TestModel(name)
        let engine = try model.makeEngine { $0.cramp(cachedTokens: 400) }
        try await Answer.expectTokensOfCramped(LlavaGoldenFile.of(name).cases, model, engine)
        await engine.shutDown(drainSeconds: 0)
    }

    @Test(arguments: all)
    func `buffers made for few short sequences hold the largest step`(name: String) async throws {
        try await Answer.expectTokensOfFewShort(
            LlavaGoldenFile.of(name).cases, length: 512, TestModel(name))
    }

    @Test(arguments: LlavaGoldenFile.models)
    func `a mark without a picture, and one too many, are refused; what a user types is text`(
        name: String,
    ) throws {
        let model = try TestModel(name)
        let golden = try #require(LlavaGoldenFile.of(name).cases.first { $0.name == "one-image" })
        let images = try model.images(of: golden)
        for (text, images) in [("<image>", []), ("<image><image>", images), ("What?", images)] {
            #expect(throws: PromptError.self) {
                try model.prompts.prompt(text: text, images: images, addSpecialTokens: true)
            }
        }
        let parts: [Message.Part] = [.image, .text("What does <image> do in HTML?")]
        let prompt = try model.prompts.prompt(
            conversation: Conversation(messages: [Message(role: "user", parts: parts)]), images: images)
        #expect(prompt.images.count == 1)
        let text = model.prompts.tokenizer.decode(prompt.tokenIDs, skipSpecialTokens: false)
        #expect(text.hasSuffix("What does <image> do in HTML?<|im_end|>\n<|im_start|>assistant\n"))
        #expect(prompt.tokenIDs.count { $0 == 690 } == golden.images[0].tokens)
    }
}
