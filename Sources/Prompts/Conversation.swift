package import Jinja

/// One message of a chat: a role and its content in order.
package struct Message: Sendable {
    /// A piece of content.
    package enum Part: Sendable {
        case text(String)
        /// The next of the request's pictures.
        case image
    }

    /// "system", "user", "assistant", "tool" or whatever the template knows.
    package var role: String
    /// The content, in order.
    package var parts: [Part]
    /// Further fields for the template, by name (`tool_calls`, `name`).
    package var fields: [(String, Value)]

    /// A message.
    package init(role: String, parts: [Part], fields: [(String, Value)] = []) {
        self.role = role
        self.parts = parts
        self.fields = fields
    }
}

/// A chat to be continued by the assistant.
package struct Conversation: Sendable {
    /// The messages, oldest first.
    package var messages: [Message]
    /// Further variables for the template, by name (`tools`, `enable_thinking`).
    package var variables: [(String, Value)]

    /// A conversation.
    package init(messages: [Message], variables: [(String, Value)] = []) {
        self.messages = messages
        self.variables = variables
    }

    /// How many pictures its messages hold.
    package var imageCount: Int {
        messages.reduce(0) { sum, message in
            sum + message.parts.count { if case .image = $0 { true } else { false } }
        }
    }
}
