/// Reading and writing single scalars in text that is known to be UTF-8.
enum UTF8Scalar {
    /// The scalar that starts at `position` and the number of its bytes.
    @inline(__always)
    static func read(_ bytes: Span<UInt8>, at position: Int) -> (value: UInt32, length: Int) {
        let first = UInt32(bytes[position])
        if first < 0x80 { return (first, 1) }
        if first < 0xE0 { return ((first & 0x1F) << 6 | continuation(bytes, position + 1), 2) }
        if first < 0xF0 {
            let middle = continuation(bytes, position + 1) << 6
            return ((first & 0x0F) << 12 | middle | continuation(bytes, position + 2), 3)
        }
        let middle = continuation(bytes, position + 1) << 12 | continuation(bytes, position + 2) << 6
        return ((first & 0x07) << 18 | middle | continuation(bytes, position + 3), 4)
    }

    /// Where the scalar before `position` starts.
    @inline(__always)
    static func start(before position: Int, in bytes: Span<UInt8>) -> Int {
        var start = position - 1
        while start > 0, bytes[start] & 0xC0 == 0x80 { start -= 1 }
        return start
    }

    /// The UTF-8 bytes of a scalar.
    static func bytes(of scalar: UInt32) -> [UInt8] {
        var bytes: [UInt8] = []
        append(scalar, to: &bytes)
        return bytes
    }

    /// Appends the UTF-8 bytes of a scalar.
    static func append(_ scalar: UInt32, to bytes: inout [UInt8]) {
        switch scalar {
        case 0..<0x80:
            bytes.append(UInt8(truncatingIfNeeded: scalar))
        case 0x80..<0x800:
            bytes.append(UInt8(truncatingIfNeeded: 0xC0 | scalar >> 6))
            bytes.append(UInt8(truncatingIfNeeded: 0x80 | scalar & 0x3F))
        case 0x800..<0x10000:
            bytes.append(UInt8(truncatingIfNeeded: 0xE0 | scalar >> 12))
            bytes.append(UInt8(truncatingIfNeeded: 0x80 | scalar >> 6 & 0x3F))
            bytes.append(UInt8(truncatingIfNeeded: 0x80 | scalar & 0x3F))
        default:
            bytes.append(UInt8(truncatingIfNeeded: 0xF0 | scalar >> 18))
            bytes.append(UInt8(truncatingIfNeeded: 0x80 | scalar >> 12 & 0x3F))
            bytes.append(UInt8(truncatingIfNeeded: 0x80 | scalar >> 6 & 0x3F))
            bytes.append(UInt8(truncatingIfNeeded: 0x80 | scalar & 0x3F))
        }
    }

    @inline(__always)
    private static func continuation(_ bytes: Span<UInt8>, _ position: Int) -> UInt32 {
        position < bytes.count ? UInt32(bytes[position] & 0x3F) : 0
    }
}
