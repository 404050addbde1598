import Engine
import Synchronization
import Testing

@testable import SharedCache

/// A store against servers that are slow, silent, wrong or away: it has nothing, takes nothing, and never keeps anyone
/// waiting.
struct RedisStoreTests {
    private let key = Array(0..<32) as [UInt8]

    private func store(_ server: FakeServer) -> RedisStore {
        RedisStore(server.address, lifetimeSeconds: 60)
    }

    /// Asks `times` for four bytes; what it got, and how long the longest took.
    private func ask(_ store: RedisStore, times: Int = 1) async throws -> (
        values: [[UInt8]?], longest: Duration
    ) {
        let key = key
        return try await blocking {
            var values: [[UInt8]?] = [], longest = Duration.zero
            for _ in 0..<times {
                let start = ContinuousClock.now
                values.append(store.value(of: key, byteCount: 4))
                longest = max(longest, ContinuousClock.now - start)
            }
            return (values, longest)
        }
    }

    @Test func `a value is asked for by range and left with its lifetime`() async throws {
        let heard = Mutex("")
        let server = try await FakeServer { text in
            heard.withLock { $0 += text }
            return .bytes(text.contains("SET\r\n") ? "+OK\r\n" : "$4\r\nabcd\r\n")
        }
        let store = store(server), key = key
        #expect(try await ask(store).values == [Array("abcd".utf8)])
        #expect(try await blocking { store.keep([1, 2], under: key) })
        let name = "vireo:image:" + "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
        #expect(
            heard.withLock { $0 } == "*4\r\n$8\r\nGETRANGE\r\n$76\r\n\(name)\r\n$1\r\n0\r\n$1\r\n4\r\n"
                + "*5\r\n$3\r\nSET\r\n$76\r\n\(name)\r\n$2\r\n\u{1}\u{2}\r\n$2\r\nEX\r\n$2\r\n60\r\n")
        #expect(store.health == EmbeddingStoreHealth())
        store.close()
        #expect(try await ask(store).values == [nil])
        try await server.stop()
    }

    @Test(arguments: ["$0\r\n\r\n", "$-1\r\n", "-WRONGTYPE a list\r\n"])
    func `what is not there is no failure`(reply: String) async throws {
        let server = try await FakeServer { _ in .bytes(reply) }
        let store = store(server)
        #expect(try await ask(store, times: 5).values == Array(repeating: nil, count: 5))
        #expect(store.health == EmbeddingStoreHealth())
        store.close()
        try await server.stop()
    }

    @Test(arguments: [
        FakeServer.Answer.silence, .bytes("$4\r\nab"), .last(""), .last("$4\r\nab"), .bytes("-ERR no\r\n"),
        .bytes("$6\r\nabcdef\r\n"), .bytes("$99999999999\r\n"), .bytes("HTTP/1.1 400 Bad Request\r\n\r\n"),
        .bytes("*-1\r\n"), .bytes("$4\r\nabcdef"),
    ])
    func `a server that fails is soon left alone`(answer: FakeServer.Answer) async throws {
        let asked = Atomic<Int>(0)
        let server = try await FakeServer { _ in
            asked.add(1, ordering: .relaxed)
            return answer
        }
        let store = store(server)
        let (values, longest) = try await ask(store, times: 20)
        #expect(values == Array(repeating: nil, count: 20))
        #expect(longest < .seconds(1), "\(longest)")
        #expect(store.health.errors == 3 && store.health.isReadingPaused && !store.health.isWritingPaused)
        #expect(asked.load(ordering: .relaxed) == 3)
        store.close()
        try await server.stop()
    }

    @Test func `a server that comes back is asked again`() async throws {
        let isWell = Atomic<Bool>(false)
        let server = try await FakeServer { _ in
            isWell.load(ordering: .relaxed) ? .bytes("$4\r\nabcd\r\n") : .last("")
        }
        let store = store(server)
        _ = try await ask(store, times: 4)
        #expect(store.health.isReadingPaused)
        isWell.store(true, ordering: .relaxed)
        var values: [[UInt8]?] = []
        for _ in 0..<60 where values.last != Array("abcd".utf8) {
            try await Task.sleep(for: .milliseconds(50))
            values += try await ask(store).values
        }
        #expect(values.last == Array("abcd".utf8) && !store.health.isReadingPaused)
        store.close()
        try await server.stop()
    }

    @Test func `many ask at once and each gets its own answer`() async throws {
        let server = try await FakeServer { text in
            // Answers each command of a piece with the last two digits of its key.
            let names = text.split(separator: "\r\n").filter { $0.hasPrefix("vireo:") }
            return .bytes(names.map { "$4\r\n\($0.suffix(4))\r\n" }.joined())
        }
        let store = store(server)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<64 as Range<UInt8> {
                group.addTask {
                    let key = Array(repeating: number, count: 32)
                    let value = try await blocking { store.value(of: key, byteCount: 4) }
                    let digits = number < 16 ? "0\(String(number, radix: 16))" : String(number, radix: 16)
                    return value == Array((digits + digits).utf8)
                }
            }
            for try await isRight in group { #expect(isRight) }
        }
        store.close()
        try await server.stop()
    }

    @Test func `a full server refuses what is left, and is still read`() async throws {
        let server = try await FakeServer { text in
            text.contains("SET\r\n") ? .bytes("-OOM command not allowed\r\n") : .bytes("$4\r\nabcd\r\n")
        }
        let store = store(server), key = key
        let kept = try await blocking { (0..<5).map { _ in store.keep([1], under: key) } }
        #expect(kept == Array(repeating: false, count: 5))
        #expect(store.health.errors == 3 && store.health.isWritingPaused && !store.health.isReadingPaused)
        #expect(try await ask(store).values == [Array("abcd".utf8)])
        store.close()
        try await server.stop()
    }

    @Test func `the password comes first, and a wrong one is told`() async throws {
        let server = try await FakeServer { text in
            text.contains("AUTH") && text.contains("right")
                ? .bytes("+OK\r\n")
                : text.contains("AUTH")
                    ? .bytes("-WRONGPASS invalid\r\n")
                    : text.contains("SELECT") ? .bytes("+OK\r\n") : .bytes("+PONG\r\n")
        }
        for (password, complaint) in [("right", nil), ("wrong", "it answers: WRONGPASS invalid")] {
            let url = "redis://:\(password)@127.0.0.1:\(server.address.port)/2"
            let store = RedisStore(try RedisAddress(url), lifetimeSeconds: 1)
            #expect(try await blocking { store.complaint() } == complaint)
            store.close()
        }
        try await server.stop()
    }

    @Test func `a server that is not there is told, at once`() async throws {
        let server = try await FakeServer { _ in .silence }
        let silent = store(server)
        #expect(try await blocking { silent.complaint() } == "it does not answer")
        silent.close()
        try await server.stop()
        let away = store(server)
        #expect(try await blocking { away.complaint() } == "it cannot be reached")
        #expect(try await ask(away, times: 10).longest < .seconds(1))
        away.close()
    }
}
