package import Engine
import NIOCore
import NIOPosix

/// Embeddings in a Valkey or Redis server, which forgets each some time after it was left there.
///
/// Two connections, so that what is left does not stand in the way of what is looked for. A server that fails several
/// times in a row is left alone for a while.
package final class RedisStore: EmbeddingStore {
    /// The longest value the server takes.
    static let mostBytes = 512 << 20
    /// What looking for a value may take beside the time for its bytes.
    private static let findPatience = Duration.milliseconds(100)
    /// The same for leaving one, which nobody waits for.
    private static let keepPatience = Duration.seconds(2)
    /// One thread for all connections: large values would hold up those of an HTTP server.
    private static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    private let reads: RedisLane
    private let writes: RedisLane
    private let lifetimeSeconds: Int

    /// A store on the server at `address` that keeps what is left for `lifetimeSeconds`; no connection is made yet.
    package init(_ address: RedisAddress, lifetimeSeconds: Int) {
        reads = RedisLane(address, on: Self.group.next())
        writes = RedisLane(address, on: Self.group.next())
        self.lifetimeSeconds = lifetimeSeconds
    }

    package func value(of key: [UInt8], byteCount: Int) -> [UInt8]? {
        guard byteCount < Self.mostBytes else { return nil }
        // One byte more than there should be shows a longer value without fetching it. No value is an empty one here.
        let command = RESPWriter.command([
            Array("GETRANGE".utf8), Self.name(of: key), Array("0".utf8), Array("\(byteCount)".utf8),
        ])
        let reply = try? reads.ask(command, replyLimit: byteCount + 1, patience: Self.findPatience)
        guard case .bytes(let bytes) = reply, bytes.readableBytes > 0 else { return nil }
        return Array(bytes.readableBytesView)
    }

    package func keep(_ value: [UInt8], under key: [UInt8]) -> Bool {
        guard value.count < Self.mostBytes else { return false }
        let command = RESPWriter.command([
            Array("SET".utf8), Self.name(of: key), value, Array("EX".utf8), Array("\(lifetimeSeconds)".utf8),
        ])
        let reply = try? writes.ask(command, replyLimit: 0, patience: Self.keepPatience)
        return reply == .line("OK")
    }

    package var health: EmbeddingStoreHealth {
        var health = EmbeddingStoreHealth()
        health.errors = reads.errorCount + writes.errorCount
        health.isReadingPaused = reads.isPaused
        health.isWritingPaused = writes.isPaused
        return health
    }

    package func close() {
        reads.close()
        writes.close()
    }

    /// Asks the server whether it is there; a sentence about what is wrong, or nil.
    package func complaint() -> String? {
        do throws(RedisFailure) {
            let reply = try reads.ask(RESPWriter.command("PING"), replyLimit: 0, patience: .seconds(1))
            if case .error(let text) = reply { return "it answers: \(text)" }
            return nil
        } catch {
            switch error {
            case .refused(let text): return "it answers: \(text)"
            case .late: return "it does not answer"
            case .garbled: return "what it answers is not Redis' protocol"
            case .disconnected, .full: return "it cannot be reached"
            }
        }
    }

    private static func name(of key: [UInt8]) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return Array("vireo:image:".utf8) + key.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    }
}
