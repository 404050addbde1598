/// GPT-2's printable stand-ins for the 256 bytes, in which a byte-level vocabulary is spelled.
enum ByteAlphabet {
    /// The stand-in of each byte.
    static let scalars: [UInt32] = {
        var next: UInt32 = 0x100
        return (0..<UInt32(256)).map { byte in
            if isPrintable(byte) { return byte }
            defer { next += 1 }
            return next
        }
    }()

    /// The byte for which each scalar below U+0144 stands; −1 for the scalars that stand for none.
    static let bytes: [Int16] = {
        var bytes = [Int16](repeating: -1, count: 0x144)
        for (byte, scalar) in scalars.enumerated() { bytes[Int(scalar)] = Int16(byte) }
        return bytes
    }()

    /// Rewrites a token to the bytes it stands for; false, and no change, if it is not spelled in the alphabet.
    static func decode(_ token: inout [UInt8], with bytes: [Int16]) -> Bool {
        var position = 0
        while position < token.count {
            let (scalar, length) = UTF8Scalar.read(token.span, at: position)
            guard scalar < bytes.count, bytes[Int(scalar)] >= 0 else { return false }
            position += length
        }
        let end = position
        var count = 0
        position = 0
        while position < end {
            let (scalar, length) = UTF8Scalar.read(token.span, at: position)
            token[count] = UInt8(truncatingIfNeeded: bytes[Int(scalar)])
            count += 1
            position += length
        }
        token.removeLast(token.count - count)
        return true
    }

    private static func isPrintable(_ byte: UInt32) -> Bool {
        (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || (0xAE...0xFF).contains(byte)
    }
}
