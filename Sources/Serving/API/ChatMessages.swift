import JSON
import Jinja
import Prompts

/// The `messages` of a chat, and the pictures in them.
struct ChatMessages: Sendable {
    private(set) var messages: [Message] = []
    private(set) var images: [ImageReference] = []

    /// The roles that there are.
    private static let roles = [
        "system", "user", "assistant", "tool", "developer", "function", "ipython", "observation",
    ]
    /// Fields that templates know, besides `role` and `content`.
    private static let templateFields = [
        "name", "tool_calls", "tool_call_id", "reasoning_content", "reasoning", "refusal",
    ]

    /// Reads `messages`.
    init(_ fields: JSONFields) throws(ServingError) {
        guard let values = try fields.array("messages") else { throw fields.error("messages", "is required") }
        guard !values.isEmpty else { throw fields.error("messages", "is empty") }
        for (index, value) in values.enumerated() {
            try append(try JSONFields(value, name: "messages[\(index)]"))
        }
    }

    private mutating func append(_ fields: JSONFields) throws(ServingError) {
        guard let role = try fields.string("role"), !role.isEmpty else {
            throw fields.error("role", "is required")
        }
        // Some templates write it within a token.
        guard Self.roles.contains(role) else {
            throw fields.error("role", "must be one of \(Self.roles.joined(separator: ", "))")
        }
        var further: [(String, Value)] = []
        for name in Self.templateFields {
            if let value = fields[name] { further.append((name, value.templateValue)) }
        }
        messages.append(Message(role: role, parts: try parts(fields), fields: further))
    }

    private mutating func parts(_ fields: JSONFields) throws(ServingError) -> [Message.Part] {
        switch fields["content"] {
        case .string(let text): return [.text(text)]
        case nil:
            // Only a call of tools may stand without words.
            guard fields["tool_calls"] != nil else { throw fields.error("content", "is required") }
            return []
        case .array(let values):
            guard !values.isEmpty else { throw fields.error("content", "is empty") }
            var parts: [Message.Part] = []
            for (index, value) in values.enumerated() {
                let name = "\(fields.param("content"))[\(index)]"
                if case .string(let text) = value {
                    parts.append(.text(text))
                } else {
                    parts.append(try part(try JSONFields(value, name: name), name: name))
                }
            }
            return parts
        default: throw fields.error("content", "must be a string or an array of parts")
        }
    }

    private mutating func part(_ fields: JSONFields, name: String) throws(ServingError) -> Message.Part {
        switch try fields.string("type") {
        case "text":
            guard let text = try fields.string("text") else { throw fields.error("text", "is required") }
            return .text(text)
        case "image_url":
            guard let image = try fields.fields("image_url") else {
                throw fields.error("image_url", "is required")
            }
            guard let url = try image.string("url") else { throw image.error("url", "is required") }
            images.append(
                ImageReference(source: try Self.source(url, param: image.param("url")), param: name))
            return .image
        default: throw fields.error("type", "must be \"text\" or \"image_url\"")
        }
    }

    private static func source(_ url: String, param: String) throws(ServingError) -> ImageReference.Source {
        if url.utf8.prefix(5).elementsEqual("data:".utf8) || url.prefix(5).lowercased() == "data:" {
            return .dataURL(url)
        }
        guard ImageURL.matches(url) else {
            throw .badRequest("\(param) must be an http, https or data URL", param: param)
        }
        return .url(url)
    }
}
