/// A JSON value as a client sent it.
indirect enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    /// A number without fraction or exponent that fits.
    case int(Int)
    /// Any other number; finite.
    case double(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    /// Whether it is `null`.
    var isNull: Bool { self == .null }

    /// The number as a Double; nil for anything but a number.
    var asDouble: Double? {
        switch self {
        case .int(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }

    /// The number as an Int, when it is one (`2.0` is); nil otherwise.
    var asInt: Int? {
        switch self {
        case .int(let value): value
        case .double(let value): Int(exactly: value)
        default: nil
        }
    }
}

/// The members of a JSON object in the order they came; of equal keys the last one's value counts.
struct JSONObject: Sendable, Equatable {
    /// Keys and values, each key once.
    private(set) var members: [(key: String, value: JSONValue)] = []
    private var places: [String: Int] = [:]

    /// Sets or adds a member.
    mutating func set(_ key: String, _ value: JSONValue) {
        if let place = places[key] {
            members[place].value = value
        } else {
            places[key] = members.count
            members.append((key, value))
        }
    }

    /// The value of a key; nil when it is absent.
    subscript(key: String) -> JSONValue? { places[key].map { members[$0].value } }

    static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.members.elementsEqual(right.members) { $0.key == $1.key && $0.value == $1.value }
    }
}
