import NIOCore

/// A server's reply, as far as what we ask can have one (RESP 2).
enum RESPReply: Sendable, Hashable {
    /// A line that says that all is well.
    case line(String)
    /// A line that says what is wrong.
    case error(String)
    case integer(Int)
    case bytes(ByteBuffer)
    /// There is no such value.
    case none
}

/// Why the bytes of a server are no reply.
enum RESPError: Error, Hashable, Sendable {
    /// It begins with a byte that stands for no reply that can be.
    case unknownKind(UInt8)
    /// A line is too long, or does not end as lines do.
    case badLine
    /// Not a number where one must be.
    case badNumber
    /// Longer than asked for.
    case tooLong(Int)
    /// Bytes that do not end as they must.
    case badEnd
}

/// Cuts a stream of bytes into replies; the cuts between what is appended do not matter.
struct RESPReader {
    /// The longest line that is read.
    static let longestLine = 4096
    private var buffer = ByteBuffer()
    /// Bytes of the value whose head has been read.
    private var bodyCount: Int?

    /// Takes more of the stream.
    mutating func append(_ bytes: ByteBuffer) {
        buffer.writeImmutableBuffer(bytes)
    }

    /// The next reply, whose value may have at most `limit` bytes; nil while it is not all there.
    mutating func next(atMost limit: Int) throws(RESPError) -> RESPReply? {
        if let bodyCount { return try body(bodyCount) }
        guard let line = try line() else { return nil }
        guard let kind = line.first else { throw .badLine }
        let text = String(decoding: line.dropFirst(), as: UTF8.self)
        switch kind {
        case UInt8(ascii: "+"): return .line(text)
        case UInt8(ascii: "-"): return .error(text)
        case UInt8(ascii: ":"): return .integer(try Self.number(text))
        case UInt8(ascii: "$"):
            let count = try Self.number(text)
            if count == -1 { return RESPReply.none }
            guard count >= 0 else { throw .badNumber }
            guard count <= limit else { throw .tooLong(count) }
            bodyCount = count
            buffer.reserveCapacity(minimumWritableBytes: max(0, count + 2 - buffer.readableBytes))
            return try body(count)
        default: throw .unknownKind(kind)
        }
    }

    /// A value of `count` bytes, and the end of its line.
    private mutating func body(_ count: Int) throws(RESPError) -> RESPReply? {
        // Safe: the count is within the bound that was asked for.
        guard buffer.readableBytes >= count + 2, let bytes = buffer.readSlice(length: count),
            let end = buffer.readBytes(length: 2)
        else { return nil }
        guard end == [13, 10] else { throw .badEnd }
        bodyCount = nil
        // The value keeps its memory; what follows it, little as a rule, gets its own.
        buffer = buffer.readableBytes == 0 ? ByteBuffer() : ByteBuffer(bytes: buffer.readableBytesView)
        return .bytes(bytes)
    }

    /// The next line without its end; nil while it is not all there.
    private mutating func line() throws(RESPError) -> [UInt8]? {
        let view = buffer.readableBytesView.prefix(Self.longestLine + 2)
        guard let end = view.firstIndex(of: 10) else {
            guard view.count < Self.longestLine + 2 else { throw .badLine }
            return nil
        }
        let length = end - view.startIndex
        guard let line = buffer.readBytes(length: length + 1), length > 0, line[length - 1] == 13 else {
            throw .badLine
        }
        return Array(line[..<(length - 1)])
    }

    private static func number(_ text: String) throws(RESPError) -> Int {
        guard let first = text.utf8.first, first != UInt8(ascii: "+"), let number = Int(text) else {
            throw .badNumber
        }
        return number
    }
}

/// Writes commands.
enum RESPWriter {
    /// A command: an array of values.
    static func command(_ parts: [[UInt8]]) -> ByteBuffer {
        let byteCount = parts.reduce(32) { $0 + $1.count + 32 }
        var buffer = ByteBuffer()
        buffer.reserveCapacity(byteCount)
        buffer.writeString("*\(parts.count)\r\n")
        for part in parts {
            buffer.writeString("$\(part.count)\r\n")
            buffer.writeBytes(part)
            buffer.writeString("\r\n")
        }
        return buffer
    }

    /// A command of words.
    static func command(_ words: String...) -> ByteBuffer { command(words.map { Array($0.utf8) }) }
}
