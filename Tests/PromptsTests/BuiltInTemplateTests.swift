import Images
import Jinja
import Prompts
import Testing

/// The formats for checkpoints without a chat template.
struct BuiltInTemplateTests {
    private func render(_ name: String, _ messages: [(String, String)]) throws -> String {
        let source = try #require(BuiltInTemplates.source(named: name))
        let values = messages.map { Value.members([("role", .string($0.0)), ("content", .string($0.1))]) }
        return try Template(source).render([
            ("messages", .array(values)), ("add_generation_prompt", .bool(true)),
        ])
    }

    @Test func `turns follow one another as the published formats have them`() throws {
        let turns = [
            ("system", "Be brief."), ("user", "<image>\nHi"), ("assistant", "Hello"), ("user", "Bye"),
        ]
        #expect(
            try render("internvl2_5", turns)
                == "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n<image>\nHi<|im_end|>\n"
                + "<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n"
        )
        for name in ["Hermes-2", "internlm2-chat"] {
            #expect(
                try render(name, turns)
                    == "<|im_start|>system\nBe brief.<|im_end|><|im_start|>user\n<image>\nHi<|im_end|>"
                    + "<|im_start|>assistant\nHello<|im_end|><|im_start|>user\nBye<|im_end|><|im_start|>assistant\n"
            )
        }
        #expect(
            try render("phi3-chat", turns)
                == "<|system|>\nBe brief.<|end|><|user|>\n<image>\nHi<|end|><|assistant|>\nHello<|end|>"
                + "<|user|>\nBye<|end|><|assistant|>\n")
    }

    @Test func `a conversation without a system message gets the model's own`() throws {
        let text = try render("internvl2_5", [("user", "Hi")])
        #expect(text.hasPrefix("<|im_start|>system\n你是书生·万象"))
        #expect(text.hasSuffix("语言模型。<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"))
    }

    @Test func `Qwen's ChatML has a system message, and takes pictures as parts`() throws {
        #expect(
            try render("qwen", [("user", "Hi"), ("assistant", "Hello"), ("user", "Bye")])
                == "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
                + "<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n"
        )
        #expect(
            try render("qwen", [("system", "Be brief.")]).hasPrefix(
                "<|im_start|>system\nBe brief.<|im_end|>\n"))
        let source = try #require(BuiltInTemplates.source(named: "qwen"))
        let parts: [Value] = [
            Value.members([("type", .string("text")), ("text", .string("Look: "))]),
            Value.members([("type", .string("image"))]),
            Value.members([("type", .string("text")), ("text", .string("What?"))]),
        ]
        let message = Value.members([("role", .string("user")), ("content", .array(parts))])
        let text = try Template(source).render([
            ("messages", .array([message])), ("add_generation_prompt", .bool(false)),
        ])
        #expect(text.hasSuffix("<|im_start|>user\nLook: <img></img>What?<|im_end|>\n"))
    }

    @Test func `an unknown name has no format`() { #expect(BuiltInTemplates.source(named: "vicuna") == nil) }
}
