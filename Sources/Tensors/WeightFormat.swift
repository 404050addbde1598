/// What the weights of a product are kept in.
package enum WeightFormat: Sendable, Hashable {
    /// As they are, rounded to bf16 or f32.
    case plain(ElementType)
    /// 8 bits each, with a scale for each 64 inputs of each output; what they are multiplied with is rounded likewise.
    case int8
    /// 4 bits each, with scales likewise; what they are multiplied with is rounded as for int8.
    case int4

    /// What to call it.
    package var name: String {
        switch self {
        case .plain(let elementType): elementType.rawValue
        case .int8: "int8"
        case .int4: "int4"
        }
    }
}
