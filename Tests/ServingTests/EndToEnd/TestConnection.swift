import JSON
import NIOCore
import NIOPosix
import NIOSSL

@testable import Serving

/// A connection that sends what it is told and hears what comes, byte for byte.
struct TestConnection: Sendable {
    let channel: any Channel
    private let chunks: AsyncThrowingStream<[UInt8], any Error>

    /// Connects to a port of loopback, with `tls` by TLS, with `receiveBytes` for a small socket buffer.
    init(port: Int, tls: TLSConfiguration? = nil, receiveBytes: Int? = nil) async throws {
        let (chunks, sink) = AsyncThrowingStream.makeStream(of: [UInt8].self)
        var bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.allowRemoteHalfClosure, value: false)
        if let receiveBytes {
            bootstrap =
                bootstrap
                .channelOption(.socketOption(.so_rcvbuf), value: .init(receiveBytes))
                .channelOption(.autoRead, value: false)
        }
        channel =
            try await bootstrap
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls {
                        let handler = try NIOSSLClientHandler(
                            context: try NIOSSLContext(configuration: tls), serverHostname: "localhost")
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                    try channel.pipeline.syncOperations.addHandler(Listener(sink: sink))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        self.chunks = chunks
    }

    /// Sends text as it is; nothing is waited for.
    func send(_ text: String) async throws { try await send(Array(text.utf8)) }

    /// Sends bytes as they are; a connection that closes meanwhile is no failure.
    func send(_ bytes: [UInt8]) async throws { try? await channel.writeAndFlush(ByteBuffer(bytes: bytes)) }

    /// Shuts the sending half down.
    func closeSending() async throws { try await channel.close(mode: .output) }

    /// Closes both halves.
    func close() async throws { try? await channel.close() }

    /// Closes so that the other side sees a reset.
    func reset() async throws {
        let option = ChannelOptions.socketOption(.init(rawValue: 13))
        try await channel.setOption(option, value: 0).get()
        try? await channel.close()
    }

    /// Everything until the other side closes, or until `isEnough`.
    func read(until isEnough: ([UInt8]) -> Bool = { _ in false }) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        for try await chunk in chunks {
            bytes += chunk
            if isEnough(bytes) { break }
        }
        return bytes
    }

    /// The reply, which ends with the connection.
    func reply() async throws -> TestReply { try TestReply(await read()) }

    private final class Listener: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let sink: AsyncThrowingStream<[UInt8], any Error>.Continuation

        init(sink: AsyncThrowingStream<[UInt8], any Error>.Continuation) { self.sink = sink }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            sink.yield(Array(unwrapInboundIn(data).readableBytesView))
        }

        func channelInactive(context: ChannelHandlerContext) { sink.finish() }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}

/// A reply, taken apart.
struct TestReply: Sendable {
    /// No reply at all.
    struct Missing: Error {}

    let status: Int
    /// Names in lower case.
    let fields: [String: String]
    let body: String
    /// The statuses of the informational replies before it.
    let informational: [Int]

    init(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        var informational: [Int] = []
        while true {
            let (head, after) = try Self.split(rest)
            let lines = head.split(separator: "\r\n")
            guard let first = lines.first, let status = Int(first.split(separator: " ")[1]) else {
                throw Missing()
            }
            rest = after
            if status < 200 {
                informational.append(status)
                continue
            }
            self.status = status
            var fields: [String: String] = [:]
            for line in lines.dropFirst() {
                guard let colon = line.firstIndex(of: ":") else { continue }
                fields[line[..<colon].lowercased()] = String(
                    line[line.index(after: colon)...].drop { $0 == " " })
            }
            self.fields = fields
            break
        }
        self.informational = informational
        let isChunked = fields["transfer-encoding"] == "chunked"
        body = String(decoding: isChunked ? try Self.joined(rest) : Array(rest), as: UTF8.self)
    }

    /// The body as JSON.
    var json: JSONValue { (try? JSONValue(reading: Array(body.utf8))) ?? .null }

    /// A value inside the body, by names and indices.
    subscript(path: String...) -> JSONValue {
        path.reduce(json) { value, name in
            switch value {
            case .object(let object): object[name] ?? .null
            case .array(let array):
                Int(name).flatMap { array.indices.contains($0) ? array[$0] : nil } ?? .null
            default: .null
            }
        }
    }

    /// The data of its events as JSON; `[DONE]` is left out.
    var events: [JSONValue] {
        body.split(separator: "\n\n").compactMap { event in
            guard event.hasPrefix("data:") else { return nil }
            return try? JSONValue(reading: Array(event.dropFirst(5).utf8))
        }
    }

    private static func split(_ bytes: ArraySlice<UInt8>) throws -> (String, ArraySlice<UInt8>) {
        let end = Array("\r\n\r\n".utf8)
        for start in bytes.indices where bytes[start...].starts(with: end) {
            return (String(decoding: bytes[..<start], as: UTF8.self), bytes[(start + 4)...])
        }
        throw Missing()
    }

    private static func joined(_ bytes: ArraySlice<UInt8>) throws -> [UInt8] {
        var rest = bytes
        var body: [UInt8] = []
        while let line = rest.firstIndex(of: 13) {
            guard let count = Int(String(decoding: rest[..<line], as: UTF8.self), radix: 16) else {
                throw Missing()
            }
            if count == 0 { break }
            body += rest[(line + 2)...].prefix(count)
            rest = rest[(line + 2)...].dropFirst(count + 2)
        }
        return body
    }
}

extension JSONValue {
    /// The elements of an array.
    var elements: [JSONValue] { if case .array(let array) = self { array } else { [] } }

    /// The text of a string.
    var text: String? { if case .string(let string) = self { string } else { nil } }
}
