import Engine
import JSON
import TestSupport
import Testing

@testable import Serving

/// Clients that leave, servers that are full or stop.
struct LifecycleTests {
    /// A step takes so long that a request still runs when it is looked at.
    private let slowly: @Sendable (Int) -> AlteredModel.Alteration = { _ in .delay(seconds: 0.003) }

    private func open(_ server: TestServer, _ path: String, _ body: String = longRequest) async throws
        -> TestConnection
    {
        let connection = try await TestConnection(port: server.port)
        try await connection.send(
            "POST \(path) HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        )
        return connection
    }

    private func waitUntilRunning(_ server: TestServer, count: Int = 1) async throws {
        for _ in 0..<5_000 {
            let now = server.engine.statistics()
            if now.runningRequests > 0, now.runningRequests + now.waitingRequests >= count { return }
            try await Task.sleep(for: .milliseconds(1))
        }
        Issue.record("the engine does not run \(count) requests")
    }

    @Test(arguments: ["/generate", "/generate_stream"], [false, true])
    func `a client that leaves ends its request`(path: String, resets: Bool) async throws {
        try await TestServer.run(altered: slowly) { server in
            let connection = try await open(server, path)
            try await waitUntilRunning(server)
            try await resets ? connection.reset() : connection.close()
            try await server.settle(seconds: 10)
            let statistics = server.engine.statistics()
            #expect(statistics.requestsCancelled == 1 && statistics.generatedTokens < 900)
            let metrics = try await server.send("GET", "/metrics").body
            #expect(metrics.contains("vireo_requests_total{route=\"\(path)\",status=\"499\"} 1"))
        }
    }

    @Test func `a device that fails for good ends the requests and then the server`() async throws {
        let start = ContinuousClock.now
        let error = try await TestServer.errorOfFailing(inStep: 4) { server in
            let running = try await server.post("/generate", longRequest)
            let next = try await server.post("/generate", longRequest)
            let health = try await server.send("GET", "/health")
            #expect([running.status, next.status, health.status] == [500, 503, 503])
        }
        #expect(error == .deviceFailed("it broke") && ContinuousClock.now - start < .seconds(4))
    }

    @Test func `a client that leaves in mid stream ends its request`() async throws {
        try await TestServer.run(altered: slowly) { server in
            let connection = try await open(server, "/generate_stream")
            _ = try await connection.read { $0.count > 2_000 }
            try await connection.close()
            try await server.settle(seconds: 10)
            #expect(server.engine.statistics().requestsCancelled == 1)
        }
    }

    @Test(arguments: ["/generate", "/generate_stream"])
    func `a client that only stops sending gets its whole answer`(path: String) async throws {
        try await TestServer.run { server in
            let body = #"{"inputs":"Hello","parameters":{"max_new_tokens":100,"ignore_eos":true}}"#
            let connection = try await open(server, path, body)
            try await connection.closeSending()
            let reply = try await connection.reply()
            #expect(reply.status == 200)
            if path == "/generate" {
                #expect(reply["count_output_tokens"] == .int(100))
            } else {
                #expect(reply.events.count == 100)
            }
        }
    }

    @Test func `a server that is full says so at once`() async throws {
        try await TestServer.run(configure: { $0.maxConcurrentRequests = 1 }, altered: slowly) { server in
            let first = try await open(server, "/generate_stream")
            try await waitUntilRunning(server)
            let refused = try await server.post(
                "/v1/chat/completions", #"{"messages":[{"role":"user","content":"Hi"}]}"#)
            #expect(refused.status == 429 && refused.fields["retry-after"] != nil)
            #expect(refused["error", "type"] == .string("rate_limit_error"))
            try await first.close()
            try await server.settle()
            #expect(try await server.post("/generate", shortRequest).status == 200)
        }
    }

    @Test func `bodies in flight have a budget`() async throws {
        try await TestServer.run(configure: { $0.maxBodyBytesInFlight = 200 }) { server in
            let large = #"{"inputs":"\#(String(repeating: "x", count: 300))"}"#
            let reply = try await server.post("/generate", large)
            #expect(reply.status == 503 && reply.fields["retry-after"] != nil)
            #expect(try await server.post("/generate", shortRequest).status == 200)
        }
    }

    @Test func `a stopping server refuses what is new and finishes what runs`() async throws {
        try await TestServer.run(altered: slowly) { server in
            var running: [TestConnection] = []
            for _ in 0..<3 { running.append(try await open(server, "/generate_stream")) }
            try await waitUntilRunning(server, count: 3)
            await server.beginShutdown()
            while try await server.send("GET", "/readiness").status == 200 {
                try await Task.sleep(for: .milliseconds(1))
            }
            let refused = try await server.post("/generate", shortRequest)
            #expect(refused.status == 503 && refused.fields["retry-after"] != nil)
            for connection in running {
                let reply = try await connection.reply()
                #expect(reply.events.last?["finished"] == .bool(true))
            }
        }
    }

    @Test func `a port in use is a clear error`() async throws {
        try await TestServer.run { server in
            let error = try await server.errorOfAnother()
            #expect(error == .portInUse(server.port))
        }
    }
}
