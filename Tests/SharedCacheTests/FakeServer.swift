import NIOCore
import NIOPosix

@testable import SharedCache

/// A server on this machine that does what a test says.
final class FakeServer: Sendable {
    /// What it does with what a connection sends; every piece of it is one call.
    enum Answer: Sendable {
        case bytes(String)
        /// The bytes, and the end of the connection.
        case last(String)
        case silence
    }

    let address: RedisAddress
    private let channel: any Channel

    /// Listens; `answer` is called with what has come on a connection since the last answer.
    init(_ answer: @escaping @Sendable (String) -> Answer) async throws {
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        address = try RedisAddress("redis://127.0.0.1:\(channel.localAddress?.port ?? 1)")
    }

    func stop() async throws { try await channel.close() }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let answer: @Sendable (String) -> Answer

        init(_ answer: @escaping @Sendable (String) -> Answer) { self.answer = answer }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch answer(String(buffer: unwrapInboundIn(data))) {
            case .bytes(let text):
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
            case .last(let text):
                context.write(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
                context.flush()
                context.close(promise: nil)
            case .silence: break
            }
        }
    }
}

/// Runs what blocks on a thread that may be blocked.
func blocking<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async throws -> Value {
    try await NIOThreadPool.singleton.runIfActive { body() }
}
