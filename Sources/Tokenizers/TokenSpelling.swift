/// How a vocabulary spells its tokens.
enum TokenSpelling: Sendable {
    /// In the printable stand-ins of bytes.
    case byteLevel
    /// As they are, with `▁` for a space.
    case plain

    /// Rewrites a token to the bytes it stands for; true, and no change, if it is none of these ("literal").
    func store(_ token: inout [UInt8]) -> Bool {
        switch self {
        case .byteLevel: !ByteAlphabet.decode(&token, with: ByteAlphabet.bytes)
        case .plain: false
        }
    }
}
