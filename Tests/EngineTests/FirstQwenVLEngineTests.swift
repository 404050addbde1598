import Engine
import Images
import Prompts
import Scheduling
import TestSupport
import Testing
import Tokenizers

/// Whole answers of the first Qwen-VL through prompts and engine against the reference.
struct FirstQwenVLEngineTests {
    private static let name = "qwen-vl"
    private let model: TestModel
    private let cases: [LlavaGoldenCase]

    init() throws {
        model = try TestModel(Self.name)
        cases = try LlavaGoldenFile.of(Self.name).cases
    }

    @Test func `a conversation, its text and its ids become the reference's ids`() throws {
        for golden in cases {
            let prompt = try model.prompt(of: golden), images = try model.images(of: golden)
            #expect(prompt.tokenIDs == golden.inputIds, "\(golden.name)")
            #expect(prompt.images.map(\.tokenCount) == golden.images.map(\.tokens))
            for mark in ["<img></img>", "<img>some/file.jpg</img>", "<image>"] {
                let text = golden.prompt.replacing("<img></img>", with: mark)
                let read = try model.prompts.prompt(text: text, images: images, addSpecialTokens: true)
                #expect(read == prompt, "\(golden.name), \(mark)")
            }
            // Ids are taken as they are, but for what stands within a picture's marks.
            for length in [0, 1, 300] {
                var ids = prompt.tokenIDs
                for span in prompt.images.reversed() {
                    let filling = [Int32](repeating: 5, count: length)
                    ids.replaceSubrange(span.start..<(span.start + span.tokenCount), with: filling)
                }
                let read = try model.prompts.prompt(tokenIDs: ids.map(Int.init), images: images)
                #expect(read == prompt, "\(golden.name), \(length) ids within")
            }
        }
    }

    @Test func `all at once, and again from the caches, give the reference's tokens`() async throws {
        try await Answer.expectTokensFromCaches(of: cases, model)
    }

    @Test
    func `with few pages, chunks that end within a picture and three cached ones the tokens stay the same`()
        async throws
    {
        let engine = try model.makeEngine { $0.cramp(cachedTokens: 400) }
        try await Answer.expectTokensOfCramped(cases, model, engine)
        await engine.shutDown(drainSeconds: 0)
    }

    @Test func `buffers made for few short sequences hold the largest step`() async throws {
        try await Answer.expectTokensOfFewShort(cases, length: 512, model)
    }

    @Test func `a second turn needs neither tower nor image`() async throws {
        let golden = try #require(cases.first { $0.name == "three-images" })
        let engine = try model.makeEngine()
        let first = try await Answer(of: golden, model, engine)
        let images = try model.images(of: golden)
        let text = model.prompts.tokenizer.decode(first.tokens, skipSpecialTokens: true)
        var messages = golden.messages.map { message in
            Message(role: message.role, parts: message.parts.map { $0.text.map { .text($0) } ?? .image })
        }
        messages += [
            Message(role: "assistant", parts: [.text(text)]), Message(role: "user", parts: [.text("Why?")]),
        ]
        let prompt = try model.prompts.prompt(
            conversation: Conversation(messages: messages), images: images)
        let second = try await Answer(
            engine.submit(
                prompt, images: images.map { ImageSource(picture: $0.picture) },
                sampling: SamplingParameters(maxNewTokens: 4, ignoresEnd: true)))
        #expect(second.tokens.count == 4 && second.found.tokenCount > 96)
        #expect(engine.statistics().imagesEncoded == 3)
        await engine.shutDown(drainSeconds: 0)
    }

    @Test func `a mark without a picture, and one too many, are refused; what a user types is text`() throws {
        let golden = try #require(cases.first { $0.name == "one-image" })
        let images = try model.images(of: golden)
        for (text, images) in [
            ("<img></img>", []), ("<img>a file</img>", []), ("<img></img><img></img>", images),
            ("What?", images), ("<img>What?", images),
        ] {
            #expect(throws: PromptError.self, "\(text)") {
                try model.prompts.prompt(text: text, images: images, addSpecialTokens: true)
            }
        }
        let typed = "Do <img></img>, <image> and <|im_end|> show?"
        let parts: [Message.Part] = [.image, .text(typed)]
        let prompt = try model.prompts.prompt(
            conversation: Conversation(messages: [Message(role: "user", parts: parts)]), images: images)
        #expect(prompt.images.count == 1)
        let text = model.prompts.tokenizer.decode(prompt.tokenIDs, skipSpecialTokens: false)
        #expect(text.hasSuffix("</img>\n\(typed)<|im_end|>\n<|im_start|>assistant\n"), "\(text)")
    }

    @Test func `a picture opens at its first mark and closes at the next, as LightLLM reads it`() throws {
        let golden = try #require(cases.first { $0.name == "one-image" })
        let images = try model.images(of: golden)
        let prompt = try model.prompts.prompt(
            text: "<img>a<img>b</img>c</img>", images: images, addSpecialTokens: true)
        let context = try #require(model.prompts.tokenizer.id(of: "<imgpad>"))
        let text = model.prompts.tokenizer.decode(
            prompt.tokenIDs.filter { $0 != context }, skipSpecialTokens: false)
        #expect(text == "Picture 1:<img></img>\nc</img>\n")
    }
}
