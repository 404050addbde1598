import Foundation
import Images
import JSON
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import TestSupport
import Testing

@testable import Serving

/// Pictures by URL.
struct FetchTests {
    private func body(_ url: String) -> String {
        #"{"inputs":"<image>\nWhat?","parameters":{"max_new_tokens":2},"multimodal_params":{"images":[{"type":"url","data":"\#(url)"}]}}"#
    }

    @Test func `a picture is fetched once and identity is asked for`() async throws {
        let picture = Fixtures.bytes("images/golden-one.png")
        try await TestOrigin.run(.reply("200 OK", "Content-Length: \(picture.count)", picture)) { origin in
            try await TestServer.run(configure: { $0.allowPrivateURLs = true }) { server in
                let reply = try await server.post(
                    "/generate", body("http://localhost:\(origin.port)/a.png?x=1"))
                #expect(reply.status == 200, "\(reply.body)")
                let request = try #require(origin.requests.first)
                #expect(origin.requests.count == 1 && request.hasPrefix("GET /a.png?x=1 HTTP/1.1"))
                #expect(request.lowercased().contains("accept-encoding: identity"))
                #expect(request.lowercased().contains("host: localhost:\(origin.port)"))
            }
        }
    }

    @Test(arguments: [
        TestOrigin.Behaviour.reply("302 Found", "Location: http://127.0.0.1/\r\nContent-Length: 0", []),
        .reply("307 Temporary Redirect", "Location: file:///etc/hosts\r\nContent-Length: 0", []),
        .reply("404 Not Found", "Content-Length: 6", Array("secret".utf8)),
        .reply("204 No Content", "X: y", []),
        .reply("200 OK", "Content-Encoding: gzip\r\nContent-Length: 3", [1, 2, 3]),
        .reply("200 OK", "Content-Length: 10737418240", [1, 2, 3]),
        .reply("200 OK", "Content-Length: 6", Array("<html>".utf8)),
        .reply("200 OK", "Content-Length: 0", []), .endless, .silent, .closing, .dripping,
    ])
    func `an origin that misbehaves gives 400 in time`(_ behaviour: TestOrigin.Behaviour) async throws {
        try await TestOrigin.run(behaviour) { origin in
            try await TestServer.run(configure: {
                $0.allowPrivateURLs = true
                $0.fetchSeconds = 1
                $0.imageLimits.maxByteCount = 1 << 20
            }) { server in
                let start = ContinuousClock.now
                let reply = try await server.post("/generate", body("http://127.0.0.1:\(origin.port)/x"))
                #expect(
                    reply.status == 400 && reply["error", "param"] == .string("multimodal_params.images[0]"))
                #expect(ContinuousClock.now - start < .seconds(5))
                for word in ["127.0.0.1", "secret", "http:", "Error("] {
                    #expect(reply["error", "message"].text?.contains(word) == false)
                }
                #expect(origin.requests.count <= 1)
                try await server.settle()
            }
        }
    }

    @Test(arguments: [
        "127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "169.254.169.254", "10.0.0.1",
    ])
    func `by default no private address is dialled`(_ host: String) async throws {
        try await TestOrigin.run(.silent) { origin in
            try await TestServer.run { server in
                let reply = try await server.post("/generate", body("http://\(host):\(origin.port)/x"))
                #expect(reply.status == 400 && origin.connectionCount == 0)
            }
        }
    }

    @Test func `requests for one URL share a fetch`() async throws {
        let picture = Fixtures.bytes("images/golden-one.png")
        try await TestOrigin.run(.held("Content-Length: \(picture.count)", picture)) { origin in
            try await TestServer.run(configure: { $0.allowPrivateURLs = true }) { server in
                let text = body("http://127.0.0.1:\(origin.port)/x")
                let leaving = try await TestConnection(port: server.port)
                try await leaving.send(
                    "POST /generate HTTP/1.1\r\nHost: t\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)")
                for _ in 0..<200 where origin.openCount == 0 { try await Task.sleep(for: .milliseconds(5)) }
                try await withThrowingTaskGroup(of: Int.self) { group in
                    for _ in 0..<20 { group.addTask { try await server.post("/generate", text).status } }
                    // They, the first and the one that asks.
                    while try await !server.send("GET", "/metrics").body.contains("requests_in_flight 22\n") {
                        try await Task.sleep(for: .milliseconds(10))
                    }
                    try await Task.sleep(for: .milliseconds(300))
                    // Who came first may leave first.
                    try await leaving.close()
                    origin.release()
                    for try await status in group { #expect(status == 200) }
                }
                #expect(origin.requests.count == 1)
                #expect(try await server.post("/generate", text).status == 200)
                #expect(origin.requests.count == 2)
                try await server.settle()
            }
        }
    }

    @Test func `an authority must be known for HTTPS`() async throws {
        let picture = Fixtures.bytes("images/golden-one.png")
        let reply = TestOrigin.Behaviour.reply("200 OK", "Content-Length: \(picture.count)", picture)
        let authority = try TrustedCertificates(file: Fixtures.url("tls/ca.pem").path)
        try await TestOrigin.run(reply, secure: true) { origin in
            let text = body("https://localhost:\(origin.port)/x")
            try await TestServer.run(configure: { $0.allowPrivateURLs = true }) { server in
                let refused = try await server.post("/generate", text)
                #expect(
                    refused.status == 400
                        && refused["error", "message"] == .string(FetchError.unreachable.message))
                #expect(origin.requests.isEmpty)
            }
            try await TestServer.run(configure: {
                $0.allowPrivateURLs = true
                $0.imageAuthorities = authority
            }) { server in
                let taken = try await server.post("/generate", text)
                #expect(taken.status == 200, "\(taken.body)")
                #expect(origin.requests.count == 1)
                // The certificate is for another name.
                let other = try await server.post("/generate", body("https://127.0.0.2:\(origin.port)/x"))
                #expect(other.status == 400 && origin.requests.count == 1)
            }
        }
    }

    @Test func `a link in the text is only text`() async throws {
        try await TestOrigin.run(.silent) { origin in
            try await TestServer.run(configure: { $0.allowPrivateURLs = true }) { server in
                let text =
                    #"{"inputs":"![](http://127.0.0.1:\#(origin.port)/x)","parameters":{"max_new_tokens":2}}"#
                let reply = try await server.post("/generate", text)
                #expect(reply.status == 200)
                #expect(origin.connectionCount == 0)
            }
        }
    }

    @Test func `a client that leaves ends the fetch`() async throws {
        try await TestOrigin.run(.silent) { origin in
            try await TestServer.run(configure: { $0.allowPrivateURLs = true }) { server in
                let text = body("http://127.0.0.1:\(origin.port)/x")
                let connection = try await TestConnection(port: server.port)
                try await connection.send(
                    "POST /generate HTTP/1.1\r\nHost: t\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)")
                for _ in 0..<200 where origin.openCount == 0 { try await Task.sleep(for: .milliseconds(5)) }
                #expect(origin.openCount == 1)
                try await connection.close()
                for _ in 0..<400 where origin.openCount > 0 { try await Task.sleep(for: .milliseconds(5)) }
                #expect(origin.openCount == 0)
            }
        }
    }
}

/// A web server that may misbehave.
final class TestOrigin: Sendable {
    /// What it does with a request.
    enum Behaviour: Sendable {
        /// Status, header fields, body.
        case reply(String, String, [UInt8])
        /// Header fields and body of a good reply, once they are released.
        case held(String, [UInt8])
        /// A body without length that does not end.
        case endless
        /// Nothing.
        case silent
        /// Closes.
        case closing
        /// A header a byte at a time.
        case dripping
    }

    private struct State {
        var requests: [String] = []
        var connectionCount = 0
        var openCount = 0
        var isReleased = false
    }

    let port: Int
    private let log: Log

    private final class Log: Sendable { let state = Mutex(State()) }

    var requests: [String] { log.state.withLock { $0.requests } }
    var connectionCount: Int { log.state.withLock { $0.connectionCount } }
    var openCount: Int { log.state.withLock { $0.openCount } }

    private init(port: Int, log: Log) {
        self.port = port
        self.log = log
    }

    /// Lets go of replies that are held.
    func release() { log.state.withLock { $0.isReleased = true } }

    /// Runs `body` beside an origin.
    static func run(
        _ behaviour: Behaviour, secure: Bool = false, _ body: (TestOrigin) async throws -> Void,
    ) async throws {
        let log = Log()
        let context = secure ? try Self.tls() : nil
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let context {
                        try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
                    }
                    try channel.pipeline.syncOperations.addHandler(Handler(behaviour: behaviour, log: log))
                }
            }
            .bind(host: secure ? "0.0.0.0" : "127.0.0.1", port: 0).get()
        try await body(TestOrigin(port: channel.localAddress?.port ?? 0, log: log))
        try await channel.close()
    }

    /// With a certificate for `localhost` and 127.0.0.1.
    private static func tls() throws -> NIOSSLContext {
        let chain = try NIOSSLCertificate.fromPEMFile(Fixtures.url("tls/server.pem").path)
        let key = try NIOSSLPrivateKey(file: Fixtures.url("tls/server.key").path, format: .pem)
        return try NIOSSLContext(
            configuration: .makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key)))
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let behaviour: Behaviour
        private let log: Log

        init(behaviour: Behaviour, log: Log) {
            self.behaviour = behaviour
            self.log = log
        }

        func channelActive(context: ChannelHandlerContext) {
            log.state.withLock { state in
                state.connectionCount += 1
                state.openCount += 1
            }
        }

        func channelInactive(context: ChannelHandlerContext) { log.state.withLock { $0.openCount -= 1 } }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let text = String(decoding: unwrapInboundIn(data).readableBytesView, as: UTF8.self)
            log.state.withLock { $0.requests.append(text) }
            switch behaviour {
            case .reply(let status, let fields, let body):
                write("HTTP/1.1 \(status)\r\n\(fields)\r\n\r\n", context)
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: body)), promise: nil)
            case .held(let fields, let body): wait(fields, body, context)
            case .endless:
                write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", context)
                flood(context)
            case .silent: break
            case .closing: context.close(promise: nil)
            case .dripping: drip(context)
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        private func write(_ text: String, _ context: ChannelHandlerContext) {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
        }

        private func wait(_ fields: String, _ body: [UInt8], _ context: ChannelHandlerContext) {
            guard log.state.withLock({ $0.isReleased }) else {
                context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(5)) {
                    self.wait(fields, body, context)
                }
                return
            }
            write("HTTP/1.1 200 OK\r\n\(fields)\r\n\r\n", context)
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: body)), promise: nil)
        }

        private func flood(_ context: ChannelHandlerContext) {
            guard context.channel.isActive else { return }
            if context.channel.isWritable {
                write("10000\r\n" + String(repeating: "x", count: 65_536) + "\r\n", context)
            }
            context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(1)) { self.flood(context) }
        }

        private func drip(_ context: ChannelHandlerContext) {
            guard context.channel.isActive else { return }
            write("H", context)
            context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(50)) { self.drip(context) }
        }
    }
}
