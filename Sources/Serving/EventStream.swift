import NIOCore

/// Server-sent events as the two APIs write them.
enum EventStream {
    /// An event with one line of data.
    ///
    /// LightLLM puts no blank after the colon, OpenAI does.
    static func event(_ json: [UInt8], dialect: Dialect) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(json.count + 8)
        switch dialect {
        case .native: buffer.writeString("data:")
        case .openAI: buffer.writeString("data: ")
        }
        buffer.writeBytes(json)
        buffer.writeString("\n\n")
        return buffer
    }

    /// OpenAI's last event.
    static let done = ByteBuffer(string: "data: [DONE]\n\n")

    /// A comment, which clients skip: it shows that the connection lives.
    static let keepAlive = ByteBuffer(string: ": keep-alive\n\n")
}
