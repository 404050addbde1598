import Prompts
import Scheduling
import TestSupport
import Testing
import Tokenizers

/// How templates want the content of messages.
struct ContentTests {
    private func text(_ template: String, _ parts: [Message.Part]) throws -> String {
        let model = try TestModel("internvl-qwen2-hf"), tokenizer = model.prompts.tokenizer
        let builder = try PromptBuilder(
            tokenizer: tokenizer,
            template: ChatTemplate(source: template, specials: [], rules: nil), rules: nil,
            vocabularyCount: 704)
        let conversation = Conversation(messages: [Message(role: "user", parts: parts)])
        return tokenizer.decode(
            try builder.prompt(conversation: conversation, images: []).tokenIDs, skipSpecialTokens: false)
    }

    private static let partsOnly =
        "{% for m in messages %}{% for part in m.content %}{% if part.type == 'text' %}[{{ part.text }}]{% endif %}"
        + "{% endfor %}.{% endfor %}"

    @Test func `a template that knows parts only gets text as a part`() throws {
        #expect(try text(Self.partsOnly, [.text("Hi"), .text("there")]) == "[Hi][there].")
        #expect(try text(Self.partsOnly, []) == "[].")
    }

    @Test func `one that knows strings gets a string, though it knows parts too`() throws {
        let both =
            "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}"
            + "{% for part in m.content %}({{ part.text }}){% endfor %}{% endif %}{% endfor %}"
        #expect(try text(both, [.text("Hi"), .text("there")]) == "Hithere")
    }
}
