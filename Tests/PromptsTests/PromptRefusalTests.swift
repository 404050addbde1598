import Images
import Jinja
import Prompts
import Scheduling
import TestSupport
import Testing
import Tokenizers

/// Prompts that do not fit their pictures, or the model.
struct PromptRefusalTests {
    let model: TestModel
    let image: PlannedImage

    init() throws {
        model = try TestModel("internvl-qwen2-hf")
        image = try model.prompts.plan(
            Fixtures.bytes("images/golden-one.png"), maxTiles: nil, limits: ImageLimits())
    }

    private func refusal(_ text: String, images: Int) -> PromptError? {
        do {
            _ = try model.prompts.prompt(
                text: text, images: Array(repeating: image, count: images), addSpecialTokens: true)
            return nil
        } catch {
            return error
        }
    }

    @Test func `as many marks as pictures are needed`() {
        #expect(refusal("<img></img> hello", images: 1) == nil)
        #expect(
            refusal("hello", images: 1) == .imageCountMismatch(tagCount: 0, imageCount: 1, tag: "<img></img>")
        )
        #expect(
            refusal("<img></img><img></img>", images: 1)
                == .imageCountMismatch(tagCount: 2, imageCount: 1, tag: "<img></img>"))
        #expect(
            refusal("<img></img>", images: 0)
                == .imageCountMismatch(tagCount: 1, imageCount: 0, tag: "<img></img>"))
        #expect(
            refusal("<image> <image>", images: 1)
                == .imageCountMismatch(tagCount: 2, imageCount: 1, tag: "<img></img>"))
        #expect(
            refusal("<image>", images: 2)
                == .imageCountMismatch(tagCount: 1, imageCount: 2, tag: "<img></img>"))
        #expect(
            refusal(String(repeating: "<img></img>", count: 10_000), images: 1)
                == .imageCountMismatch(tagCount: 10_000, imageCount: 1, tag: "<img></img>"))
    }

    @Test func `an open mark without its end is plain text`() {
        #expect(refusal("<img> and </img>", images: 0) == nil)
        #expect(refusal("<IMG_CONTEXT>", images: 0) == nil)
        #expect(refusal("<image>", images: 0) == nil)
    }

    @Test func `an empty prompt is refused`() { #expect(refusal("", images: 0) == .empty) }

    @Test func `token ids outside of the vocabulary are refused`() throws {
        for id in [-1, 704, 1 << 31, Int.max, Int.min] {
            #expect(throws: PromptError.tokenIDOutOfRange(limit: 704)) {
                try model.prompts.prompt(tokenIDs: [1, id], images: [])
            }
        }
        let prompt = try model.prompts.prompt(tokenIDs: [5, 690, 691, 6], images: [image])
        #expect(prompt.tokenIDs == [5, 690] + Array(repeating: 692, count: 16) + [691, 6])
    }

    @Test func `a mark typed into a chat is no picture`() {
        let typed = Conversation(messages: [Message(role: "user", parts: [.image, .text("<IMG_CONTEXT>")])])
        #expect(throws: PromptError.imageCountMismatch(tagCount: 2, imageCount: 1, tag: "<IMG_CONTEXT>")) {
            try model.prompts.prompt(conversation: typed, images: [image])
        }
    }

    @Test func `a template's own refusal reaches the client`() throws {
        let source = "{{ raise_exception('Roles must alternate.') }}"
        let template = try ChatTemplate(source: source, specials: [], rules: nil)
        let prompts = try PromptBuilder(
            tokenizer: model.prompts.tokenizer, template: template, rules: nil, vocabularyCount: 704)
        let error = #expect(throws: PromptError.self) {
            try prompts.prompt(conversation: Conversation(messages: []), images: [])
        }
        #expect(error?.message.contains("Roles must alternate.") == true)
    }

    @Test func `pictures for a model without a tower are refused`() throws {
        let prompts = try PromptBuilder(
            tokenizer: model.prompts.tokenizer, template: nil, rules: nil, vocabularyCount: 704)
        #expect(!prompts.takesImages)
        #expect(throws: PromptError.imagesNotSupported) {
            try prompts.prompt(text: "<img></img>", images: [image], addSpecialTokens: true)
        }
        #expect(throws: PromptError.noChatTemplate) {
            try prompts.prompt(conversation: Conversation(messages: []), images: [])
        }
    }

    @Test func `other tiles or another model give other keys`() throws {
        let bytes = Fixtures.bytes("images/golden-six.png")
        let whole = try model.prompts.plan(bytes, maxTiles: nil, limits: ImageLimits())
        let same = try model.prompts.plan(bytes, maxTiles: 6, limits: ImageLimits())
        let fewer = try model.prompts.plan(bytes, maxTiles: 4, limits: ImageLimits())
        #expect(whole.key == same.key && whole.key != fewer.key && whole.key != image.key)
    }
}
