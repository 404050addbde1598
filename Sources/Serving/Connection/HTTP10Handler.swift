import NIOCore
import NIOHTTP1

/// Answers HTTP/1.0 in its own manner: no chunks, no informational answers, and the connection ends the answer.
///
/// Lives below the codec that takes the version off a request.
final class HTTP10Handler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// Whether each request whose answer is not complete is of HTTP/1.0.
    private var pending = CircularBuffer<Bool>()

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(var head) = unwrapInboundIn(data) else { return context.fireChannelRead(data) }
        let isOld = head.version.major < 1 || (head.version.major == 1 && head.version.minor == 0)
        pending.append(isOld)
        guard isOld else { return context.fireChannelRead(data) }
        // Whoever answers then closes.
        head.headers.replaceOrAdd(name: "connection", value: "close")
        context.fireChannelRead(wrapInboundOut(.head(head)))
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var head) where pending.first ?? false:
            guard head.status.code >= 200 else {
                promise?.succeed()
                return
            }
            head.version = .http1_0
            head.headers.replaceOrAdd(name: "connection", value: "close")
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .end:
            if !pending.isEmpty { pending.removeFirst() }
            context.write(data, promise: promise)
        default: context.write(data, promise: promise)
        }
    }
}

@available(*, unavailable)
extension HTTP10Handler: Sendable {}
