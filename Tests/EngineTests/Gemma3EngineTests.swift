import Engine
import Images
import Prompts
import Scheduling
import TestSupport
import Testing
import Tokenizers

/// Whole answers of Gemma 3 through prompts and engine against the reference.
struct Gemma3EngineTests {
    static let models = ["gemma3", "gemma3-heads", "gemma3-text"]
    static let pictured = ["gemma3", "gemma3-heads"]

    @Test(arguments: models)
    func `a conversation becomes the reference's ids`(name: String) throws {
        let model = try TestModel(name)
        for golden in try LlavaGoldenFile.of(name).cases {
            let prompt = try model.prompt(of: golden)
            #expect(prompt.tokenIDs == golden.inputIds, "\(golden.name)")
            #expect(prompt.images.map(\.tokenCount) == golden.images.map(\.tokens))
            let images = name == "gemma3-text" ? [] : try model.images(of: golden)
            // As text: what opens a picture stands for it.
            let text = try model.prompts.prompt(text: golden.prompt, images: images, addSpecialTokens: false)
            #expect(text == prompt, "\(golden.name)")
            let begun = try model.prompts.prompt(
                text: String(golden.prompt.dropFirst("<bos>".count)), images: images, addSpecialTokens: true)
            #expect(begun == prompt, "\(golden.name)")
        }
    }

    @Test(arguments: models)
    func `all at once, and again from the caches, give the reference's tokens`(name: String) async throws {
        try await Answer.expectTokensFromCaches(of: LlavaGoldenFile.of(name).cases, TestModel(name))
    }

    @Test(arguments: pictured)
    func `with few pages, chunks smaller than a picture and three cached ones the tokens stay the same`(
        name: String,
    ) async throws {
        let model = try TestModel(name)
        let engine = try model.makeEngine { $0.cramp(cachedTokens: 320) }
        try await Answer.expectTokensOfCramped(LlavaGoldenFile.of(name).cases, model, engine)
        await engine.shutDown(drainSeconds: 0)
    }

    @Test(arguments: models)
    func `buffers made for few short sequences hold the largest step`(name: String) async throws {
        try await Answer.expectTokensOfFewShort(
            LlavaGoldenFile.of(name).cases, length: 160, TestModel(name))
    }

    @Test(arguments: pictured)
    func `what is kept of a picture goes on with the rest of it`(name: String) async throws {
        let model = try TestModel(name)
        let golden = try #require(LlavaGoldenFile.of(name).cases.first { $0.name == "one-image" })
        let images = try model.images(of: golden)
        let prompts = try ["Why?", "How many?"].map { question in
            try model.prompts.prompt(
                text: "<bos>Look<start_of_image>\(question)", images: images, addSpecialTokens: false)
        }
        let span = try #require(prompts[0].images.first)
        func answers(pageSize: Int, keeps: Bool) async throws -> [Answer] {
            let engine = try model.makeEngine {
                $0.pageSize = pageSize
                $0.keepsPrefixes = keeps
            }
            var answers: [Answer] = []
            for prompt in prompts {
                answers.append(
                    try await Answer(
                        engine.submit(
                            prompt, images: images.map { ImageSource(picture: $0.picture) },
                            sampling: SamplingParameters(maxNewTokens: 8, ignoresEnd: true))))
            }
            await engine.shutDown(drainSeconds: 0)
            return answers
        }
        let afresh = try await answers(pageSize: 4, keeps: false)
        var ends: Set<Int> = []
        for pageSize in [4, 7, 8, 13, span.start + 1, span.range.upperBound - 1] {
            let kept = try await answers(pageSize: pageSize, keeps: true)
            #expect(kept.map(\.tokens) == afresh.map(\.tokens), "pages of \(pageSize)")
            #expect(kept.map(\.logprobs) == afresh.map(\.logprobs), "pages of \(pageSize)")
            ends.insert(kept[1].found.tokenCount)
        }
        #expect(ends.count { span.range.contains($0) && $0 > span.start } >= 3, "\(ends)")
    }

    @Test(arguments: pictured)
    func `prompts are reported on around a picture`(name: String) async throws {
        let model = try TestModel(name)
        let golden = try #require(LlavaGoldenFile.of(name).cases.first { $0.name == "three-images" })
        let prompt = try model.prompt(of: golden), images = try model.images(of: golden)
        let engine = try model.makeEngine()
        let answer = try await Answer(
            engine.submit(
                prompt, images: images.map { ImageSource(picture: $0.picture) },
                sampling: SamplingParameters(maxNewTokens: 4, ignoresEnd: true, promptLogprobCount: 1)))
        #expect(answer.tokens == Array(golden.greedyIds.prefix(4)))
        #expect(answer.prompt.count > 0)
        await engine.shutDown(drainSeconds: 0)
    }

    @Test func `marks without pictures are refused; what a user types is text`() throws {
        let model = try TestModel("gemma3")
        let golden = try #require(LlavaGoldenFile.of("gemma3").cases.first { $0.name == "one-image" })
        let images = try model.images(of: golden)
        for (text, images) in [
            ("<start_of_image>", []), ("<start_of_image><end_of_image>", []),
            ("<image><start_of_image>", images), ("What?", images), ("<image> <end_of_image>", images),
        ] {
            #expect(throws: PromptError.self, "\(text)") {
                try model.prompts.prompt(text: text, images: images, addSpecialTokens: true)
            }
        }
        let pair = "\n\n<start_of_image><end_of_image>\n\nWhat?"
        let marked = try model.prompts.prompt(text: pair, images: images, addSpecialTokens: true)
        #expect(
            try model.prompts.prompt(text: "<image>What?", images: images, addSpecialTokens: true) == marked)
        let ids = model.prompts.tokenizer.encode(pair, addSpecialTokens: true).map(Int.init)
        #expect(try model.prompts.prompt(tokenIDs: ids, images: images) == marked)
        let parts: [Message.Part] = [.image, .text("Is <start_of_image> a word?")]
        let prompt = try model.prompts.prompt(
            conversation: Conversation(messages: [Message(role: "user", parts: parts)]), images: images)
        #expect(prompt.images.count == 1)
        let text = model.prompts.tokenizer.decode(prompt.tokenIDs, skipSpecialTokens: false)
        #expect(
            text.hasSuffix(
                "<end_of_image>\n\nIs <start_of_image> a word?<end_of_turn>\n<start_of_turn>model\n"))
    }
}
