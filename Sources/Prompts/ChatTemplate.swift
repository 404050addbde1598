package import Jinja

/// A checkpoint's chat template, and how it wants pictures: as parts of the content, or written into its text.
package struct ChatTemplate: Sendable {
    private let template: Template
    private let takesParts: Bool
    private let specials: [(String, Value)]

    /// Compiles `source`; `specials` are the variables of special tokens (`bos_token`, `eos_token`).
    package init(source: String, specials: [(String, Value)], rules: ImageRules?) throws(PromptError) {
        do throws(JinjaError) {
            template = try Template(source)
        } catch {
            throw .template(message: error.message)
        }
        self.specials = specials
        takesParts = Self.takesParts(template, specials, rules)
    }

    /// The prompt of `conversation` with the assistant's turn opened; a picture is what the template writes for it.
    func render(_ conversation: Conversation) throws(PromptError) -> String {
        let messages = conversation.messages.map { message in
            Value.members([("role", .string(message.role)), ("content", content(message))] + message.fields)
        }
        do throws(JinjaError) {
            return try template.render(
                [("messages", .array(messages)), ("add_generation_prompt", .bool(true))] + specials
                    + conversation.variables)
        } catch {
            throw .template(message: error.message)
        }
    }

    private func content(_ message: Message) -> Value {
        if !takesParts || !message.hasImages { return .string(message.text(image: "<image>\n")) }
        return .array(
            message.parts.map { part in
                switch part {
                case .text(let text): Value.members([("type", .string("text")), ("text", .string(text))])
                case .image: Value.members([("type", .string("image"))])
                }
            })
    }

    /// Whether the template writes a mark for a picture that comes as a part.
    private static func takesParts(_ template: Template, _ specials: [(String, Value)], _ rules: ImageRules?)
        -> Bool
    {
        guard let rules else { return false }
        let parts = Value.array([Value.members([("type", .string("image"))])])
        let message = Value.members([("role", .string("user")), ("content", parts)])
        let text = try? template.render(
            [("messages", .array([message])), ("add_generation_prompt", .bool(true))] + specials)
        guard let text else { return false }
        return ([rules.context, rules.start] + ["<image>"]).contains {
            text.utf8.firstRange(of: $0.utf8) != nil
        }
    }
}

extension Message {
    /// Whether a picture is among the parts.
    fileprivate var hasImages: Bool { parts.contains { if case .image = $0 { true } else { false } } }

    /// The parts as one text, with `image` for each picture.
    fileprivate func text(image: String) -> String {
        parts.map { part in
            switch part {
            case .text(let text): text
            case .image: image
            }
        }.joined()
    }
}
