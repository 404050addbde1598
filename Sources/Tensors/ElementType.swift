/// What one element of a tensor is.
package enum ElementType: String, Sendable, Hashable, CaseIterable {
    case u8
    case i32
    case i64
    case f16
    case bf16
    case f32

    /// Bytes of one element.
    package var byteCount: Int {
        switch self {
        case .u8: 1
        case .f16, .bf16: 2
        case .i32, .f32: 4
        case .i64: 8
        }
    }
}
