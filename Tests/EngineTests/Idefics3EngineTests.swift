import Engine
import Images
import Models
import Prompts
import Scheduling
import TestSupport
import Testing
import Tokenizers

/// What SmolVLM2 and Idefics3 have beside `LlavaEngineTests`: pictures in several runs of tokens, and second turns.
struct Idefics3EngineTests {
    @Test(arguments: LlavaGoldenFile.splitting)
    func `a picture's tokens lie in a run for each of its tiles`(name: String) throws {
        let model = try TestModel(name)
        for golden in try LlavaGoldenFile.of(name).cases {
            let prompt = try model.prompt(of: golden)
            #expect(prompt.images.map(\.runs.count) == golden.images.map(\.tiles))
            let mark = try #require(model.prompts.tokenizer.id(of: "<image>"))
            let places = prompt.tokenIDs.indices.filter { prompt.tokenIDs[$0] == mark }
            #expect(places == prompt.images.flatMap { $0.runs.flatMap { Array($0) } })
        }
    }

    @Test(arguments: LlavaGoldenFile.splitting)
    func `a second turn begins with what the first has left, its picture included`(
        name: String,
    ) async throws {
        let model = try TestModel(name), engine = try model.makeEngine()
        let golden = try #require(LlavaGoldenFile.of(name).cases.first { $0.name == "one-image" })
        let images = try model.images(of: golden)
        let sources = images.map { ImageSource(picture: $0.picture) }
        var messages = [
            Message(role: "user", parts: [.image, .text("What is in the picture?")])
        ]
        func ask() async throws -> (Answer, PreparedPrompt) {
            let prompt = try model.prompts.prompt(
                conversation: Conversation(messages: messages), images: images)
            let sampling = try SamplingParameters(maxNewTokens: 4, ignoresEnd: true)
            return (
                try await Answer(engine.submit(prompt, images: sources, sampling: sampling)), prompt
            )
        }
        let (first, asked) = try await ask()
        #expect(first.tokens == Array(golden.greedyIds.prefix(4)) && first.found.imageCount == 0)
        messages += [
            Message(role: "assistant", parts: [.text("A word.")]),
            Message(role: "user", parts: [.text("Are you sure?")]),
        ]
        let (second, _) = try await ask()
        #expect(second.found.imageCount == 1 && second.found.tokenCount >= asked.tokenIDs.count - 32)
        #expect(engine.statistics().imagesEncoded == 1)
        await engine.shutDown(drainSeconds: 0)
    }

    @Test(arguments: LlavaGoldenFile.splitting)
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
        let typed = "What do <image> and <fake_token_around_image><row_1_col_1> do?"
        let prompt = try model.prompts.prompt(
            conversation: Conversation(messages: [Message(role: "user", parts: [.image, .text(typed)])]),
            images: images)
        let tokenizer = model.prompts.tokenizer
        #expect(
            tokenizer.decode(prompt.tokenIDs, skipSpecialTokens: false)
                .hasSuffix("\(typed)<end_of_utterance>\nAssistant:"))
        for mark in ["<image>", "<fake_token_around_image>"] {
            let id = tokenizer.id(of: mark)
            #expect(prompt.tokenIDs.count { $0 == id } == golden.inputIds.count { $0 == id })
        }
    }

    @Test(arguments: [
        (SplitOptions(tileSize: 512, patchSize: 16, mergeSize: 4, longerSide: 2048), 1088),
        (SplitOptions(tileSize: 384, patchSize: 14, mergeSize: 3, longerSide: 1536), 1377),
    ])
    func `the largest picture of published models goes through tower and engine`(
        options: SplitOptions, tokenCount: Int,
    ) async throws {
        var description = try ModelFamilies.describe(Fixtures.folder("smolvlm"))
        description.text.maxPositions = 8192
        description.vision?.cut = .split(options)
        description.vision?.patchSize = options.patchSize
        let model = try TestModel("smolvlm", altered: description)
        let golden = try #require(LlavaGoldenFile.of("smolvlm").cases.first { $0.name == "twelve" })
        // Two of them, which are not cut as tiles of the same shape.
        let images = try ["golden-one.png", "golden-wide.jpg"].map {
            try model.prompts.plan(Fixtures.bytes("images/\($0)"), maxTiles: nil, limits: ImageLimits())
        }
        #expect(images[0].tokenCount == tokenCount && images[1].tokenCount < tokenCount)
        let prompt = try model.prompts.prompt(
            text: golden.prompt + "<image>", images: images, addSpecialTokens: true)
        #expect(prompt.images.map(\.runs.count) == images.map { $0.tokenCount / options.tokensPerTile })
        let engine = try model.makeEngine()
        let answer = try await Answer(
            engine.submit(
                prompt, images: images.map { ImageSource(picture: $0.picture) },
                sampling: try SamplingParameters(maxNewTokens: 3, ignoresEnd: true)))
        #expect(answer.tokens.count == 3 && answer.finish == .length)
        #expect(engine.statistics().imagesEncoded == 2)
        await engine.shutDown(drainSeconds: 0)
    }

    @Test func `a mark that text never becomes is refused with the first picture`() throws {
        let model = try TestModel("smolvlm")
        var json = String(decoding: Fixtures.bytes("models/smolvlm/tokenizer.json"), as: UTF8.self)
        // An ordinary token of that spelling and id in place of the special one.
        for (old, new) in [
            (#"{"id":728,"content":"<image>""#, #"{"id":731,"content":"<imago>""#),
            (#""vocab":{"#, #""vocab":{"<image>":728,"#),
        ] {
            let parts = json.split(separator: old, maxSplits: 1, omittingEmptySubsequences: false)
            json = parts.joined(separator: new)
            #expect(parts.count == 2)
        }
        let vision = try #require(model.model.description.vision)
        let builder = try PromptBuilder(
            tokenizer: Tokenizer(json: Array(json.utf8)), template: nil,
            rules: ImageRules(
                cut: vision.cut, start: "", context: "<image>", end: "", modelIdentity: ""),
            vocabularyCount: 736)
        let golden = try #require(LlavaGoldenFile.of("smolvlm").cases.first { $0.name == "one-image" })
        #expect(throws: PromptError.missingMarkers) {
            try builder.prompt(tokenIDs: [5, 728, 6], images: model.images(of: golden))
        }
    }

    @Test func `a tokenizer without the mark round pictures is refused`() throws {
        let model = try TestModel("smolvlm"), other = try TestModel("llava")
        let vision = try #require(model.model.description.vision)
        #expect(throws: PromptError.missingMarkers) {
            try PromptBuilder(
                tokenizer: other.prompts.tokenizer, template: nil,
                rules: ImageRules(
                    cut: vision.cut, start: "", context: "<image>", end: "", modelIdentity: ""),
                vocabularyCount: 704)
        }
    }
}
