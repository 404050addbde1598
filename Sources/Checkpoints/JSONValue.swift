/// A JSON value without a schema.
///
/// Numbers keep their text, so that nothing is lost before someone asks for a type.
package indirect enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case number(String)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// The number when it is a whole one that fits, also when written `32.0`.
    package var int: Int? {
        guard case .number(let text) = self else { return nil }
        return Int(text) ?? Double(text).flatMap(Int.init(exactly:))
    }

    /// The number when it is finite.
    package var double: Double? {
        guard case .number(let text) = self, let value = Double(text), value.isFinite else { return nil }
        return value
    }

    /// The string, of a string.
    package var string: String? { if case .string(let text) = self { text } else { nil } }

    /// The truth value, of one.
    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }

    /// The elements, of an array.
    package var array: [JSONValue]? { if case .array(let elements) = self { elements } else { nil } }

    /// The members, of an object.
    package var object: [String: JSONValue]? { if case .object(let members) = self { members } else { nil } }

    /// What it is, in a word, for error messages.
    package var summary: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .number(let text): String(text.prefix(40))
        case .string(let text): "\"\(text.prefix(40))\""
        case .array(let elements): "a list of \(elements.count)"
        case .object: "an object"
        }
    }
}
