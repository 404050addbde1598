import JSON
import Jinja

extension JSONValue {
    /// The value as a template sees it.
    var templateValue: Value {
        switch self {
        case .null: .none
        case .bool(let value): .bool(value)
        case .int(let value): .int(value)
        case .double(let value): .double(value)
        case .string(let value): .string(value)
        case .array(let values): .array(values.map(\.templateValue))
        case .object(let object): .members(object.members.map { ($0.key, $0.value.templateValue) })
        }
    }
}
