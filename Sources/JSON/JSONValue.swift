/// A JSON value.
package indirect enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    /// A number without fraction or exponent that fits.
    case int(Int)
    /// Any other number.
    case double(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    /// The value that is the whole of `text`; takes time linear in it.
    package init(reading text: [UInt8], options: JSONOptions = JSONOptions()) throws(JSONError) {
        var cursor = JSONCursor(text, options: options)
        self = try cursor.value()
        try cursor.end()
    }

    /// Whether it is `null`.
    package var isNull: Bool { if case .null = self { true } else { false } }

    /// The truth value, of one.
    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }

    /// The number when it is a whole one that fits, also when written `32.0`.
    package var int: Int? {
        switch self {
        case .int(let value): value
        case .double(let value): Int(exactly: value)
        default: nil
        }
    }

    /// The number when it is finite.
    package var double: Double? {
        switch self {
        case .int(let value): Double(value)
        case .double(let value) where value.isFinite: value
        default: nil
        }
    }

    /// The string, of a string.
    package var string: String? { if case .string(let text) = self { text } else { nil } }

    /// The elements, of an array.
    package var array: [JSONValue]? { if case .array(let elements) = self { elements } else { nil } }

    /// The members, of an object.
    package var object: JSONObject? { if case .object(let object) = self { object } else { nil } }

    /// The member of an object; `null` for none.
    package subscript(key: String) -> JSONValue { object?[key] ?? .null }

    /// What it is, in a word, for error messages.
    package var summary: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .int(let value): "\(value)"
        case .double(let value): "\(value)"
        case .string(let text): "\"\(text.prefix(40))\""
        case .array(let elements): "a list of \(elements.count)"
        case .object: "an object"
        }
    }
}
