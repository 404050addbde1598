import Hummingbird
import Logging
import NIOCore

/// The connection a request came on, as its handler sees it.
struct ClientConnection: InitializableFromSource, Sendable {
    private let channel: any Channel
    let logger: Logger

    init(source: ApplicationRequestContextSource) {
        channel = source.channel
        logger = source.logger
    }

    /// Runs `operation`, which is cancelled when the client leaves; throws `clientClosed` then.
    ///
    /// With `sendsContinue` the client is first asked to send its body.
    func serve<Value: Sendable>(
        sendsContinue: Bool, _ operation: @escaping @Sendable () async throws -> Value,
    ) async throws -> Value {
        let closed = try await channel.eventLoop.submit { [channel] in
            let context = try channel.pipeline.syncOperations.context(handlerType: ConnectionGuard.self)
            guard let guardian = context.handler as? ConnectionGuard else { throw ServingError.clientClosed }
            return guardian.watch(context: context, sendsContinue: sendsContinue)
        }.get()
        return try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await operation() }
            group.addTask {
                for await _ in closed {}
                return nil
            }
            defer { group.cancelAll() }
            guard let first = try await group.next(), let value = first else {
                throw ServingError.clientClosed
            }
            return value
        }
    }
}

/// The media types we send, as they stand in headers.
enum MediaTypeName {
    static let json = "application/json"
    static let eventStream = "text/event-stream; charset=utf-8"
    static let prometheus = "text/plain; version=0.0.4; charset=utf-8"
}
