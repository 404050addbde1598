package import Jinja

/// A checkpoint's chat template, and how it wants pictures: as parts of the content, or written into its text.
package struct ChatTemplate: Sendable {
    private let template: Template
    private let takesParts: Bool
    /// Whether text must come as a part too: some templates know no other content.
    private let needsParts: Bool
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
        needsParts = Self.needsParts(template, specials)
    }

    /// The prompt of `conversation` with the assistant's turn opened; a picture is what the template writes for it.
    ///
    /// `shielding` is applied to every text that comes from the client.
    func render(
        _ conversation: Conversation, shielding: (String) -> String,
    ) throws(PromptError) -> String {
        let messages = conversation.messages.map { message in
            let fields = message.fields.map { ($0.0, $0.1.mappingTexts(shielding)) }
            return Value.members(
                [
                    ("role", .string(shielding(message.role))),
                    ("content", content(message.mappingTexts(shielding))),
                ] + fields)
        }
        let variables = conversation.variables.map { ($0.0, $0.1.mappingTexts(shielding)) }
        do throws(JinjaError) {
            return try template.render(
                [("messages", .array(messages)), ("add_generation_prompt", .bool(true))] + specials
                    + variables)
        } catch {
            throw .template(message: error.message)
        }
    }

    private func content(_ message: Message) -> Value {
        if !(message.hasImages ? takesParts : needsParts) {
            return .string(message.text(image: "<image>\n"))
        }
        return .array(
            (message.parts.isEmpty ? [.text("")] : message.parts).map { part in
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
        return writes(rules.marks.prefix(2) + ["<image>"], of: parts, template, specials)
    }

    /// Whether the template writes a text that comes as a part, but not one that is all of the content.
    private static func needsParts(_ template: Template, _ specials: [(String, Value)]) -> Bool {
        let text = Value.string("Hello")
        let parts = Value.array([Value.members([("type", .string("text")), ("text", text)])])
        return !writes(["Hello"], of: text, template, specials)
            && writes(["Hello"], of: parts, template, specials)
    }

    /// Whether one of `texts` is in the prompt of a message with such content.
    private static func writes(
        _ texts: some Sequence<String>, of content: Value, _ template: Template,
        _ specials: [(String, Value)],
    ) -> Bool {
        let message = Value.members([("role", .string("user")), ("content", content)])
        let prompt = try? template.render(
            [("messages", .array([message])), ("add_generation_prompt", .bool(true))] + specials)
        return prompt.map { prompt in texts.contains { prompt.utf8.firstRange(of: $0.utf8) != nil } } ?? false
    }
}

extension Message {
    /// Whether a picture is among the parts.
    fileprivate var hasImages: Bool { parts.contains { if case .image = $0 { true } else { false } } }

    /// The message with `body` applied to its texts.
    fileprivate func mappingTexts(_ body: (String) -> String) -> Message {
        var message = self
        message.parts = parts.map { if case .text(let text) = $0 { .text(body(text)) } else { $0 } }
        return message
    }

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

extension Value {
    /// The value with `body` applied to the texts in it, names of members among them.
    fileprivate func mappingTexts(_ body: (String) -> String) -> Value {
        switch self {
        case .string(let text): .string(body(text))
        case .list(let list): .array(list.items.map { $0.mappingTexts(body) })
        case .tuple(let list): .tuple(List(list.items.map { $0.mappingTexts(body) }))
        case .object(let object):
            .members(
                object.members.compactMap { key, value in
                    // Members come from JSON, so all are named.
                    if case .string(let name) = key { (body(name), value.mappingTexts(body)) } else { nil }
                })
        case .undefined, .none, .bool, .int, .double, .runtime: self
        }
    }
}

extension Conversation {
    /// A scalar that no text of it has, of those that Unicode keeps for internal use; nil when it has all of them.
    var unusedScalar: Unicode.Scalar? {
        var used: Set<UInt32> = []
        func note(_ text: String) {
            for scalar in text.unicodeScalars where (0xfdd0...0xfdef).contains(scalar.value) {
                used.insert(scalar.value)
            }
        }
        for message in messages {
            note(message.role)
            for case .text(let text) in message.parts { note(text) }
            for (_, value) in message.fields {
                _ = value.mappingTexts {
                    note($0); return $0
                }
            }
        }
        for (_, value) in variables {
            _ = value.mappingTexts {
                note($0); return $0
            }
        }
        return (UInt32(0xfdd0)...0xfdef).lazy.filter { !used.contains($0) }.compactMap(Unicode.Scalar.init)
            .first
    }
}
