import Engine
import JSON
import TestSupport
import Testing

@testable import Serving

/// Streams that fail, pause or are not read, and clients of HTTP/1.0.
struct StreamTests {
    private func post(_ path: String, _ body: String, version: String = "1.1") -> String {
        "POST \(path) HTTP/\(version)\r\nHost: t\r\nContent-Type: application/json\r\n"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    private let chat = #"""
        {"messages":[{"role":"user","content":"Hi"}],"max_tokens":20,"ignore_eos":true,"stream":true,
        "stream_options":{"include_usage":true}}
        """#
    private let native = #"{"inputs":"Hello","parameters":{"max_new_tokens":20,"ignore_eos":true}}"#

    @Test func `a failure after the first token is one event and a clean end`() async throws {
        try await TestServer.run(altered: { $0 % 11 == 10 ? .spoilt : .none }) { server in
            let failed = try await server.post("/generate_stream", native)
            #expect(failed.status == 200 && failed.events.count == 10)
            #expect(failed.events.dropLast().allSatisfy { $0["finished"] == .bool(false) })
            #expect(failed.events.last?["error"]["type"] == .string("InternalServerError"))
            #expect(failed.body.hasSuffix("}\n\n") && !failed.body.contains("nan"))
            try await server.settle()
        }
        for (path, body) in [
            ("/v1/chat/completions", chat),
            ("/v1/completions", #"{"prompt":"Hi","max_tokens":20,"ignore_eos":true,"stream":true}"#),
        ] {
            try await TestServer.run(altered: { $0 == 10 ? .spoilt : .none }) { server in
                let failed = try await server.post(path, body)
                #expect(failed.status == 200 && !failed.body.contains("[DONE]"))
                #expect(failed.events.last?["error"]["type"] == .string("server_error"))
                #expect(failed.events.count { $0["error"] != .null } == 1)
                #expect(failed.events.allSatisfy { $0["usage"] == .null })
                try await server.settle()
                let next = try await server.post(path, body)
                #expect(next.body.hasSuffix("data: [DONE]\n\n"))
                let metrics = try await server.send("GET", "/metrics").body
                #expect(metrics.contains("vireo_requests_total{route=\"\(path)\",status=\"500\"} 1"))
            }
        }
    }

    @Test func `a failure without a stream is an error`() async throws {
        try await TestServer.run(altered: { $0 == 3 ? .spoilt : .none }) { server in
            let failed = try await server.post("/generate", native)
            #expect(failed.status == 500 && failed["error", "type"] == .string("InternalServerError"))
            #expect(try await server.post("/generate", native).status == 200)
        }
    }

    @Test func `a stream that pauses gets comments`() async throws {
        try await TestServer.run(
            configure: { $0.commentSeconds = 0.1 }, altered: { $0 == 3 ? .delay(seconds: 0.8) : .none }
        ) { server in
            let reply = try await server.post("/generate_stream", native)
            let blocks = reply.body.split(separator: "\n\n")
            let comments = blocks.count { $0 == ": keep-alive" }
            #expect((2...10).contains(comments))
            #expect(reply.events.count == 20 && blocks.count == 20 + comments)
            #expect(reply.events.last?["finished"] == .bool(true))
        }
    }

    @Test func `a client that stops reading is let go`() async throws {
        try await TestServer.run(configure: { $0.writeSeconds = 0.5 }) { server in
            let body = #"""
                {"messages":[{"role":"user","content":"Hi"}],"max_tokens":900,"ignore_eos":true,"stream":true,
                "logprobs":true,"top_logprobs":20}
                """#
            let connection = try await TestConnection(port: server.port, receiveBytes: 4_096)
            // As many as it takes to fill all buffers on the way.
            for _ in 0..<8 { try await connection.send(post("/v1/chat/completions", body)) }
            let start = ContinuousClock.now
            let route = #"vireo_requests_total{route="/v1/chat/completions",status="499"} 1"#
            while try await !server.send("GET", "/metrics").body.contains(route) {
                guard ContinuousClock.now - start < .seconds(30) else { break }
                try await Task.sleep(for: .milliseconds(50))
            }
            #expect(ContinuousClock.now - start < .seconds(30))
            try await server.settle()
            try await connection.close()
        }
    }

    @Test func `HTTP 1.0 gets its stream until the connection ends`() async throws {
        try await TestServer.run { server in
            for path in ["/generate_stream", "/generate"] {
                let connection = try await TestConnection(port: server.port)
                try await connection.send(post(path, native, version: "1.0"))
                let bytes = try await connection.read()
                let text = String(decoding: bytes, as: UTF8.self)
                #expect(text.hasPrefix("HTTP/1.0 200 OK\r\n"))
                let reply = try TestReply(bytes)
                #expect(reply.fields["transfer-encoding"] == nil && reply.fields["connection"] == "close")
                #expect(reply.informational.isEmpty)
                if path == "/generate" {
                    #expect(reply["count_output_tokens"] == .int(20))
                } else {
                    #expect(reply.events.count == 20)
                }
            }
            let connection = try await TestConnection(port: server.port)
            try await connection.send("GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            #expect(try await connection.reply().status == 200)
        }
    }
}
