import Scheduling
import Tensors

/// The form of one picture's embeddings in a shared store: a header that says all about them, the rows as they lie in the
/// pages, and a checksum over both.
struct SharedEntry {
    /// Bytes of the whole value.
    let byteCount: Int
    private let header: [UInt8]
    private static let checksumBytes = 8

    /// The form of f32 [rowCount, columnCount], where a row is the embeddings of `planeCount` planes.
    init(key: ImageKey, rowCount: Int, columnCount: Int, planeCount: Int) {
        var header = Array("VIREOIMG".utf8)
        // Version, and the type of the elements: 1 is f32.
        for number in [1, 1, rowCount, columnCount, planeCount, 0] {
            header += Self.bytes(of: UInt64(number), count: 4)
        }
        self.header = header + key.bytes
        byteCount =
            self.header.count + rowCount * columnCount * ElementType.f32.byteCount + Self.checksumBytes
    }

    /// The value for `rows`.
    func value(of rows: [UInt8]) -> [UInt8] {
        precondition(header.count + rows.count + Self.checksumBytes == byteCount, "all rows")
        var value: [UInt8] = []
        value.reserveCapacity(byteCount)
        value += header
        value += rows
        value += Self.bytes(of: Self.checksum(value[...]), count: Self.checksumBytes)
        return value
    }

    /// The rows of `value`; nil unless it is these embeddings, whole and finite.
    func rows(of value: [UInt8]) -> ArraySlice<UInt8>? {
        guard value.count == byteCount, value.starts(with: header) else { return nil }
        let end = byteCount - Self.checksumBytes
        guard
            value[end...].elementsEqual(
                Self.bytes(of: Self.checksum(value[..<end]), count: Self.checksumBytes))
        else { return nil }
        let rows = value[header.count..<end]
        return Self.isFinite(rows) ? rows : nil
    }

    private static func bytes(of number: UInt64, count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: number >> (8 * UInt64($0))) }
    }

    /// 64 bits that any change of one word of eight bytes alters for certain, and others but for chance.
    ///
    /// It guards against damage, not against people: who may write to the store is trusted.
    static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        unsafe bytes.withUnsafeBytes { bytes in
            var sum = UInt64(bytes.count)
            // Each step is one to one in the sum and in the word.
            func add(_ word: UInt64) {
                sum = (sum ^ word) &* 0x9e37_79b9_7f4a_7c15
                sum ^= sum >> 29
            }
            let whole = bytes.count / 8 * 8
            for offset in stride(from: 0, to: whole, by: 8) {
                // Safe: eight bytes from the offset on lie within.
                add(unsafe UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
            }
            for offset in whole..<bytes.count { add(unsafe UInt64(bytes[offset])) }
            return sum
        }
    }

    /// Whether all of these f32 numbers are finite.
    private static func isFinite(_ rows: ArraySlice<UInt8>) -> Bool {
        unsafe rows.withUnsafeBytes { bytes in
            for offset in stride(from: 0, to: bytes.count / 4 * 4, by: 4) {
                // Safe: four bytes from the offset on lie within.
                let bits = unsafe UInt32(
                    littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
                if bits & 0x7f80_0000 == 0x7f80_0000 { return false }
            }
            return true
        }
    }
}
