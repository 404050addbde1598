/// What the weights of a product are kept in.
package enum WeightFormat: Sendable, Hashable {
    /// As they are, rounded to bf16 or f32.
    case plain(ElementType)
    /// 8 bits each, with a scale for each output; what they are multiplied with is rounded likewise, with a scale for each
    /// row.
    case int8

    /// What to call it.
    package var name: String {
        switch self {
        case .plain(let elementType): elementType.rawValue
        case .int8: "int8"
        }
    }
}
