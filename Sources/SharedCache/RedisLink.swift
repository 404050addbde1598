import NIOCore
import NIOPosix

/// Something to ask a server.
struct RedisCommand: Sendable {
    let bytes: ByteBuffer
    /// The most bytes of a value in the reply.
    let replyLimit: Int
    /// When the reply is of no use any more.
    let deadline: NIODeadline
    let promise: EventLoopPromise<RESPReply>
}

/// Why there is no reply.
enum RedisFailure: Error, Hashable, Sendable {
    /// The deadline has passed.
    case late
    /// The connection has ended, or was never there.
    case disconnected
    /// The server refuses user, password or database; in its words.
    case refused(String)
    /// What it sent is no reply.
    case garbled
    /// As many commands wait as may.
    case full
}

/// A connection to a server, made when something is asked and made again after it has ended.
///
/// Belongs to its event loop. Commands go out at once, replies come back in the same order. A reply that is late ends the
/// connection, as it stands in the way of those behind it.
final class RedisLink {
    /// The most commands on the way.
    static let mostCommands = 256
    private let loop: any EventLoop
    private let address: RedisAddress
    private var state = State.disconnected
    private var isClosed = false
    /// What is to be sent when the connection is there.
    private var waiting: [RedisCommand] = []

    private enum State {
        case disconnected
        /// Can move to: connected, disconnected.
        case connecting
        case connected(RedisHandler)
    }

    init(_ address: RedisAddress, on loop: any EventLoop) {
        self.address = address
        self.loop = loop
    }

    /// Asks; the promise is kept by the deadline at the latest.
    func send(_ command: RedisCommand) {
        guard !isClosed else { return command.promise.fail(RedisFailure.disconnected) }
        switch state {
        case .connected(let handler) where handler.isOpen:
            handler.send(command)
        case .connecting:
            wait(command)
        case .connected, .disconnected:
            wait(command)
            connect()
        }
    }

    /// Ends the connection, for good.
    func close() {
        isClosed = true
        if case .connected(let handler) = state { handler.end(.disconnected) }
        failWaiting(.disconnected)
    }

    private func wait(_ command: RedisCommand) {
        guard waiting.count < Self.mostCommands else { return command.promise.fail(RedisFailure.full) }
        waiting.append(command)
        // Not the command, whose bytes would stay until then.
        let future = command.promise.futureResult
        loop.assumeIsolated().scheduleTask(deadline: command.deadline) {
            // It may have been sent by now: then its promise is the handler's to keep.
            guard
                let index = self.waiting.firstIndex(where: { $0.promise.futureResult === future })
            else { return }
            self.waiting.remove(at: index).promise.fail(RedisFailure.late)
        }
    }

    private func connect() {
        state = .connecting
        let address = address
        let connection = ClientBootstrap(group: loop)
            .connectTimeout(.seconds(1))
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(RedisHandler())
                }
            }
            .connect(host: address.host, port: address.port)
        connection.assumeIsolated().whenComplete { result in
            guard case .success(let channel) = result, !self.isClosed,
                let handler = try? channel.pipeline.syncOperations.handler(type: RedisHandler.self)
            else {
                if case .success(let channel) = result { channel.close(promise: nil) }
                self.disconnect(.disconnected)
                return
            }
            self.greet(handler, address.greeting[...])
        }
    }

    /// Sends what must come first, one after the other, then what waits.
    private func greet(_ handler: RedisHandler, _ commands: ArraySlice<[String]>) {
        guard !isClosed else { return handler.end(.disconnected) }
        guard let next = commands.first else {
            state = .connected(handler)
            let sent = waiting
            waiting = []
            for command in sent { handler.send(command) }
            return
        }
        let promise = loop.makePromise(of: RESPReply.self)
        promise.futureResult.assumeIsolated().whenComplete { result in
            switch result {
            case .success(.line("OK")): self.greet(handler, commands.dropFirst())
            case .success(.error(let text)):
                handler.end(.disconnected)
                self.disconnect(.refused(text))
            default:
                handler.end(.disconnected)
                self.disconnect(.disconnected)
            }
        }
        handler.send(
            RedisCommand(
                bytes: RESPWriter.command(next.map { Array($0.utf8) }), replyLimit: 0,
                deadline: .now() + .seconds(1), promise: promise))
    }

    private func disconnect(_ failure: RedisFailure) {
        state = .disconnected
        failWaiting(failure)
    }

    private func failWaiting(_ failure: RedisFailure) {
        let failed = waiting
        waiting = []
        for command in failed { command.promise.fail(failure) }
    }
}

/// Writes commands to one connection and gives replies to those who asked, in order.
final class RedisHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Whether commands can still be sent.
    private(set) var isOpen = true
    private var context: ChannelHandlerContext?
    private var pending = CircularBuffer<RedisCommand>()
    private var reader = RESPReader()

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { end(.disconnected) }
    func channelInactive(context: ChannelHandlerContext) { end(.disconnected) }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { end(.disconnected) }

    /// Sends a command; its promise is kept by its deadline.
    func send(_ command: RedisCommand) {
        guard isOpen, let context else { return command.promise.fail(RedisFailure.disconnected) }
        guard pending.count < RedisLink.mostCommands else { return command.promise.fail(RedisFailure.full) }
        pending.append(command)
        context.writeAndFlush(wrapOutboundOut(command.bytes), promise: nil)
        let future = command.promise.futureResult
        context.eventLoop.assumeIsolated().scheduleTask(deadline: command.deadline) {
            if self.pending.contains(where: { $0.promise.futureResult === future }) {
                self.end(.late)
            }
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard isOpen else { return }
        reader.append(unwrapInboundIn(data))
        do throws(RESPError) {
            while let reply = try reader.next(atMost: pending.first?.replyLimit ?? 0) {
                guard let command = pending.popFirst() else { return end(.garbled) }
                command.promise.succeed(reply)
                guard isOpen else { return }
            }
        } catch {
            end(.garbled)
        }
    }

    /// Ends the connection; what is on the way fails.
    func end(_ failure: RedisFailure) {
        guard isOpen else { return }
        isOpen = false
        let failed = pending
        pending = CircularBuffer()
        context?.close(promise: nil)
        context = nil
        for command in failed { command.promise.fail(failure) }
    }
}
