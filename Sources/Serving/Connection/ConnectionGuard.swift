import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOSSL

/// Keeps one connection honest: its times, its malformed requests, its end.
///
/// Lives on the connection's event loop.
///
/// - A header, a body or a rest between requests that takes too long ends it; so does an answer left unread.
/// - What is not HTTP gets an error body.
/// - A stream without a byte for a while gets a comment.
/// - Whoever answers a request is told when the client has gone (`watch`). A client that shuts down only its
///   sending half looks the same at first, so it gets `102 Processing`: one that left answers with a reset.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let times: ConnectionTimes
    private var state = ConnectionState()
    private var readTimer: Scheduled<Void>?
    private var writeTimer: Scheduled<Void>?
    private var commentTimer: Scheduled<Void>?
    private var probeTimer: Scheduled<Void>?
    private var watcher: AsyncStream<Void>.Continuation?

    init(times: ConnectionTimes) { self.times = times }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        let pipeline = context.pipeline.syncOperations
        if let codec = try? pipeline.context(handlerType: HTTP1ToHTTPServerCodec.self) {
            try? pipeline.addHandler(HTTP10Handler(), position: .before(codec.handler))
        }
        if context.channel.isActive { start(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        start(context)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        stop()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { stop() }

    private func start(_ context: ChannelHandlerContext) {
        guard readTimer == nil else { return }
        state.readDeadline = context.eventLoop.now + times.header
        armReadTimer(context)
    }

    private func stop() {
        for timer in [readTimer, writeTimer, commentTimer, probeTimer] { timer?.cancel() }
        watcher?.finish()
        watcher = nil
    }

    /// Ends when the connection does.
    ///
    /// Sends `100 Continue` first where the client waits for it.
    func watch(context: ChannelHandlerContext, sendsContinue: Bool) -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        if context.channel.isActive { watcher = continuation } else { continuation.finish() }
        if sendsContinue, state.isReading, !state.isHeadWritten { writeInformational(100, context) }
        return stream
    }

    // MARK: Inbound

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !state.isClosing else { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            state.begin(Dialect(path: head.path ?? ""))
            state.readDeadline = context.eventLoop.now + times.body
            armReadTimer(context)
        case .body(let buffer):
            // Safe: a buffer is below 4 GiB, and 61 µs for each of its bytes fit 64 bits by far.
            state.readDeadline = state.readDeadline.map {
                $0 + .nanoseconds(Int64(buffer.readableBytes) * 61_035)
            }
        case .end:
            state.isReading = false
            state.readDeadline = nil
        }
        context.fireChannelRead(data)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent { probe(context) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case is IOError, is ChannelError, is NIOSSLError, is BoringSSLError:
            return context.fireErrorCaught(error)
        default: break
        }
        let isOverflow = if case .some(.headerOverflow) = error as? HTTPParserError { true } else { false }
        refuse(isOverflow ? .headersTooLarge : .malformedHTTP, context)
    }

    // MARK: Outbound

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard !state.isClosing else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        state.lastWrite = context.eventLoop.now
        switch unwrapOutboundIn(data) {
        case .head(let head) where head.status.kind == .informational:
            context.write(data, promise: promise)
        case .head(let head):
            state.isHeadWritten = true
            state.closesAfterEnd = head.headerFields[.connection] == "close"
            probeTimer?.cancel()
            if head.headerFields[.contentType] == MediaTypeName.eventStream { armCommentTimer(context) }
            context.write(data, promise: promise)
        case .body:
            context.write(data, promise: promise)
        case .end:
            commentTimer?.cancel()
            if state.closesAfterEnd {
                linger(context, after: data, promise)
            } else {
                state.end()
                if state.pendingCount == 0 {
                    state.readDeadline = context.eventLoop.now + times.keepAlive
                    armReadTimer(context)
                }
                context.write(data, promise: promise)
            }
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        writeTimer?.cancel()
        if !context.channel.isWritable {
            writeTimer = schedule(context, after: times.write) { $0.close(promise: nil) }
        }
        context.fireChannelWritabilityChanged()
    }

    private func writeInformational(_ code: Int, _ context: ChannelHandlerContext) {
        state.lastWrite = context.eventLoop.now
        context.writeAndFlush(
            wrapOutboundOut(.head(HTTPResponse(status: .init(code: code)))), promise: nil)
    }

    // MARK: Endings

    /// Answers with an error, when no answer has begun, and closes.
    private func refuse(_ error: ServingError, _ context: ChannelHandlerContext) {
        guard !state.isClosing else { return }
        guard !state.isHeadWritten else { return context.close(promise: nil) }
        let body = ErrorBody.json(error, dialect: state.dialect)
        var fields = HTTPFields()
        fields[.contentType] = MediaTypeName.json
        fields[.contentLength] = String(body.count)
        fields[.connection] = "close"
        let head = HTTPResponse(status: .init(code: error.status), headerFields: fields)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(ByteBuffer(bytes: body))), promise: nil)
        linger(context, after: wrapOutboundOut(.end(nil)), nil)
    }

    /// Writes the last part, then closes for sending and goes on dropping what comes: with unread bytes a
    /// close would reset the connection, and the client might lose the answer.
    private func linger(
        _ context: ChannelHandlerContext, after data: NIOAny, _ promise: EventLoopPromise<Void>?
    ) {
        state.isClosing = true
        state.readDeadline = nil
        let written = promise ?? context.eventLoop.makePromise()
        let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
        written.futureResult.whenComplete { _ in loopBound.value.close(mode: .output, promise: nil) }
        context.writeAndFlush(data, promise: written)
        readTimer?.cancel()
        readTimer = schedule(context, after: times.linger) { $0.close(promise: nil) }
    }

    // MARK: Timers

    private func armReadTimer(_ context: ChannelHandlerContext) {
        readTimer?.cancel()
        guard let deadline = state.readDeadline else { return }
        readTimer = schedule(context, after: deadline - context.eventLoop.now) { [self] context in
            // The deadline may have moved on, or gone, since.
            guard let deadline = state.readDeadline else { return }
            guard deadline <= context.eventLoop.now else { return armReadTimer(context) }
            if state.pendingCount == 0, state.hasServed {
                context.close(promise: nil)
            } else {
                refuse(.requestTimeout, context)
            }
        }
    }

    private func armCommentTimer(_ context: ChannelHandlerContext) {
        commentTimer?.cancel()
        guard context.channel.isActive else { return }
        let wait = state.lastWrite + times.comment - context.eventLoop.now
        commentTimer = schedule(context, after: wait) { [self] context in
            if state.lastWrite + times.comment <= context.eventLoop.now {
                state.lastWrite = context.eventLoop.now
                context.writeAndFlush(wrapOutboundOut(.body(EventStream.keepAlive)), promise: nil)
            }
            armCommentTimer(context)
        }
    }

    /// Asks a client that sends no more whether it still listens.
    private func probe(_ context: ChannelHandlerContext) {
        guard state.pendingCount > 0, !state.isReading, !state.isHeadWritten, !state.isClosing else { return }
        writeInformational(102, context)
        probeTimer = schedule(context, after: times.probe) { [self] in probe($0) }
    }

    private func schedule(
        _ context: ChannelHandlerContext, after time: TimeAmount,
        _ body: @escaping (ChannelHandlerContext) -> Void,
    ) -> Scheduled<Void> {
        context.eventLoop.assumeIsolated().scheduleTask(in: time) { body(context) }
    }
}

@available(*, unavailable)
extension ConnectionGuard: Sendable {}
