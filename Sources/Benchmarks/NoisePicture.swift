/// Makes pictures for benchmarks: PNG files of seeded noise, stored without compression, no two alike.
package enum NoisePicture {
    /// A PNG of `width` × `height` pixels, both from 1 to 16,384.
    package static func png(width: Int, height: Int, seed: UInt64) -> [UInt8] {
        precondition((1...16_384).contains(width) && (1...16_384).contains(height), "a picture of usual size")
        var random = LoadRandom(seed: seed)
        var rows: [UInt8] = []
        rows.reserveCapacity(height * (1 + 3 * width))
        for _ in 0..<height {
            rows.append(0)
            for _ in 0..<(3 * width) {
                rows.append(UInt8(truncatingIfNeeded: random.next() >> 56))
            }
        }
        var file: [UInt8] = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
        file += chunk("IHDR", bigEndian(UInt32(width)) + bigEndian(UInt32(height)) + [8, 2, 0, 0, 0])
        file += chunk("IDAT", stored(rows))
        return file + chunk("IEND", [])
    }

    /// A zlib stream (RFC 1950) of stored blocks (RFC 1951, section 3.2.4).
    private static func stored(_ bytes: [UInt8]) -> [UInt8] {
        var stream: [UInt8] = [0x78, 0x01]
        var start = 0
        repeat {
            let end = min(start + 65_535, bytes.count)
            let count = UInt16(end - start)
            stream.append(end == bytes.count ? 1 : 0)
            stream += [UInt8(count & 255), UInt8(count >> 8), UInt8(~count & 255), UInt8(~count >> 8)]
            stream += bytes[start..<end]
            start = end
        } while start < bytes.count
        var (low, high) = (UInt32(1), UInt32(0))
        for byte in bytes {
            low = (low + UInt32(byte)) % 65_521
            high = (high + low) % 65_521
        }
        return stream + bigEndian(high << 16 | low)
    }

    private static func chunk(_ type: String, _ payload: [UInt8]) -> [UInt8] {
        let content = Array(type.utf8) + payload
        return bigEndian(UInt32(payload.count)) + content + bigEndian(checksum(content))
    }

    /// CRC-32 as PNG has it (ISO 3309).
    private static func checksum(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(~UInt32(0)) { $0 >> 8 ^ table[Int(($0 ^ UInt32($1)) & 255)] }
    }

    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? 0xedb8_8320 ^ value >> 1 : value >> 1 }
    }

    private static func bigEndian(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * UInt32($0))) }
    }
}
