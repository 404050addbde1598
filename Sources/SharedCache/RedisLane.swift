import NIOCore
import Synchronization

/// One connection to a server with a breaker before it: asks and waits, never longer than a deadline.
///
/// Thread-safe; not to be called on an event loop.
final class RedisLane: Sendable {
    /// Bytes a second that a network must do at the least: what an answer may take beside its patience.
    static let slowestRate = 100_000_000.0

    private let loop: any EventLoop
    private let link: NIOLoopBoundBox<RedisLink?>
    private let address: RedisAddress
    private let state = Mutex(State())

    private struct State {
        var breaker = CircuitBreaker()
        var errorCount = 0
        /// Bytes of the questions and answers on the way.
        var byteCount = 0
        var isClosed = false
    }

    /// A lane to `address`; the connection is made when it is needed.
    init(_ address: RedisAddress, on loop: any EventLoop) {
        self.address = address
        self.loop = loop
        link = NIOLoopBoundBox.makeEmptyBox(valueType: RedisLink.self, eventLoop: loop)
    }

    /// Questions that failed, or were not answered in time.
    var errorCount: Int { state.withLock(\.errorCount) }
    /// Whether the breaker keeps questions back.
    var isPaused: Bool { state.withLock(\.breaker.isPaused) }

    /// The answer to `command`, which may be that the server refuses it; nil when nothing is asked for now.
    ///
    /// The question and a value of at most `replyLimit` bytes may take `patience` and the time for their bytes, and for
    /// those on the way before them.
    func ask(
        _ command: ByteBuffer, replyLimit: Int, patience: Duration,
    ) throws(RedisFailure) -> RESPReply? {
        let start = ContinuousClock.now, byteCount = command.readableBytes + replyLimit
        let bytesOnTheWay = state.withLock { state -> Int? in
            guard !state.isClosed, state.breaker.mayAsk(at: start) else { return nil }
            state.byteCount += byteCount
            return state.byteCount
        }
        guard let bytesOnTheWay else { return nil }
        let time = patience + .seconds(Double(bytesOnTheWay) / Self.slowestRate)
        let promise = loop.makePromise(of: RESPReply.self)
        let question = RedisCommand(
            bytes: command, replyLimit: replyLimit, deadline: .now() + TimeAmount(time), promise: promise)
        loop.execute { [loop, link, address] in
            let open = link.value ?? RedisLink(address, on: loop)
            link.value = open
            open.send(question)
        }
        let result = Result { try promise.futureResult.wait() }
        state.withLock { state in
            state.byteCount -= byteCount
            if case .success(let reply) = result, !reply.isRefusal {
                state.breaker.succeed()
            } else {
                state.errorCount += 1
                state.breaker.fail(askedAt: start, at: .now)
            }
        }
        switch result {
        case .success(let reply): return reply
        case .failure(let failure as RedisFailure): throw failure
        case .failure: throw .disconnected
        }
    }

    /// Ends the connection; nothing is asked any more.
    func close() {
        state.withLock { $0.isClosed = true }
        loop.execute { [link] in link.value?.close() }
    }
}

extension RESPReply {
    /// Whether the server says that something is wrong; that a value is of another kind is our answer, too.
    var isRefusal: Bool {
        guard case .error(let text) = self else { return false }
        return !text.hasPrefix("WRONGTYPE")
    }
}
