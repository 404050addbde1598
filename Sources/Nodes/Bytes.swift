/// Writes values one after another, little-endian.
package struct ByteWriter: Sendable {
    /// What was written.
    package private(set) var bytes: [UInt8] = []

    /// Nothing yet.
    package init() {}

    /// Writes a number.
    package mutating func write<Value: FixedWidthInteger>(_ value: Value) {
        unsafe withUnsafeBytes(of: value.littleEndian) { unsafe bytes.append(contentsOf: $0) }
    }

    /// Writes how many numbers there are, and the numbers.
    package mutating func write<Value: FixedWidthInteger>(_ values: [Value]) {
        write(UInt32(values.count))
        for value in values { write(value) }
    }

    /// Writes bytes as they are.
    package mutating func write(raw: some Sequence<UInt8>) { bytes.append(contentsOf: raw) }

    /// Writes a text of at most 4096 bytes; what is longer is cut.
    package mutating func write(text: String) { write(Array(text.utf8.prefix(4096))) }
}

/// Reads what a `ByteWriter` wrote; throws `malformed` for all else.
package struct ByteReader: Sendable {
    private var rest: ArraySlice<UInt8>

    /// Reads `bytes`.
    package init(_ bytes: [UInt8]) { rest = bytes[...] }

    /// The next number.
    package mutating func read<Value: FixedWidthInteger>(_: Value.Type = Value.self) throws(LinkError)
        -> Value
    {
        let bytes = try take(MemoryLayout<Value>.size)
        var value: Value = 0
        // Safe: as many bytes as the number has.
        unsafe withUnsafeMutableBytes(of: &value) { unsafe $0.copyBytes(from: bytes) }
        return Value(littleEndian: value)
    }

    /// The next numbers, in front of which their count stands.
    package mutating func readList<Value: FixedWidthInteger>(
        _: Value.Type = Value.self,
    ) throws(LinkError) -> [Value] {
        let count = Int(try read(UInt32.self))
        guard count <= rest.count / MemoryLayout<Value>.size else { throw .malformed }
        var values: [Value] = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try read()) }
        return values
    }

    /// Things in front of which their count stands, each of at least one byte.
    package mutating func readEach<Value>(
        _ body: (inout ByteReader) throws(LinkError) -> Value,
    ) throws(LinkError) -> [Value] {
        let count = Int(try read(UInt32.self))
        guard count <= rest.count else { throw .malformed }
        var values: [Value] = []
        for _ in 0..<count { values.append(try body(&self)) }
        return values
    }

    /// The next `count` bytes as they are.
    package mutating func take(_ count: Int) throws(LinkError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= rest.count else { throw .malformed }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    /// The next number, which must be in `range`.
    package mutating func read(in range: ClosedRange<Int>) throws(LinkError) -> Int {
        let value = try read(Int64.self)
        guard let value = Int(exactly: value), range.contains(value) else { throw .malformed }
        return value
    }

    /// The next truth value.
    package mutating func readFlag() throws(LinkError) -> Bool {
        let value = try read(UInt8.self)
        guard value < 2 else { throw .malformed }
        return value == 1
    }

    /// The next text; bytes that are none are replaced.
    package mutating func readText() throws(LinkError) -> String {
        let bytes = try readList(UInt8.self)
        guard bytes.count <= 4096 else { throw .malformed }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Throws when something is left.
    package func end() throws(LinkError) {
        guard rest.isEmpty else { throw .malformed }
    }
}
