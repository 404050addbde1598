import JSON
import Testing

@testable import Serving

/// HTTP itself: what is refused, and how connections end.
struct ProtocolTests {
    @Test func `the small routes answer`() async throws {
        try await TestServer.run { server in
            #expect(try await server.send("GET", "/health").body == #"{"message":"Ok"}"#)
            #expect(try await server.send("GET", "/healthz").status == 200)
            #expect(try await server.send("GET", "/liveness").body == #"{"status":"ok"}"#)
            #expect(try await server.send("GET", "/readiness").status == 200)
            let head = try await server.send("HEAD", "/health")
            #expect(head.status == 200 && head.body.isEmpty && head.fields["content-length"] == "16")
            let models = try await server.send("GET", "/v1/models")
            #expect(models["data", "0", "id"] == .string("fixture"))
            #expect(try await server.post("/generate", shortRequest).status == 200)
            let metrics = try await server.send("GET", "/metrics?x=1")
            #expect(metrics.fields["content-type"]?.hasPrefix("text/plain; version=0.0.4") == true)
            #expect(metrics.body.contains(#"vireo_requests_total{route="/generate",status="200"} 1"#))
            #expect(metrics.body.contains("vireo_time_to_first_token_seconds_count 1"))
        }
    }

    @Test func `routes, methods and types that are none of ours have their statuses`() async throws {
        try await TestServer.run { server in
            let unknown = try await server.send("GET", "/no/such/route")
            #expect(unknown.status == 404 && unknown["error", "type"] == .string("NotFoundError"))
            #expect(unknown["error", "code"] == .int(404))
            let under = try await server.send("GET", "/v1/nothing")
            #expect(under.status == 404 && under["error", "type"] == .string("invalid_request_error"))
            let method = try await server.send("GET", "/generate")
            #expect(method.status == 405 && method.fields["allow"] == "POST")
            #expect(try await server.send("DELETE", "/health").fields["allow"] == "GET, HEAD")
            for fields in [["Content-Type: text/xml"], ["Content-Type: application/json; charset=utf-16"]] {
                #expect(
                    try await server.send("POST", "/generate", shortRequest, fields: fields).status == 415)
            }
            let gzip = ["Content-Type: application/json", "Content-Encoding: gzip"]
            #expect(try await server.send("POST", "/generate", shortRequest, fields: gzip).status == 415)
            #expect(try await server.send("POST", "/generate", shortRequest, fields: []).status == 200)
            let model = #"{"model":"other","messages":[{"role":"user","content":"Hi"}]}"#
            let reply = try await server.post("/v1/chat/completions", model)
            #expect(reply.status == 404 && reply["error", "code"] == .string("model_not_found"))
        }
    }

    @Test func `bad bodies are refused before a stream begins`() async throws {
        try await TestServer.run { server in
            let bodies = [
                "", "[]", "null", "\"x\"", "{} x", "{\"inputs\":", "{\"inputs\":\"\\ud800\"}",
                "{\"inputs\":5}",
                "{\"inputs\":" + String(repeating: "[", count: 100_000),
            ]
            for body in bodies {
                for path in ["/generate", "/generate_stream", "/v1/chat/completions"] {
                    let reply = try await server.post(path, body)
                    #expect(
                        reply.status == 400 && reply["error", "message"].text != nil,
                        "\(path) \(body.prefix(20))")
                }
            }
            let surrogate = try await server.post("/generate", "{\"inputs\":\"\\ud800\"}")
            #expect(surrogate["error", "param"] == .string("inputs"))
        }
    }

    @Test func `a body over the limit is refused unread`() async throws {
        try await TestServer.run(configure: { $0.maxBodyBytes = 1_000 }) { server in
            let head = "POST /generate HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
            let declared = try await TestConnection(port: server.port)
            try await declared.send(head + "Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n")
            let refused = try await declared.reply()
            #expect(
                refused.status == 413 && refused.informational.isEmpty
                    && refused.fields["connection"] == "close")

            let endless = try await TestConnection(port: server.port)
            try await endless.send(head + "Transfer-Encoding: chunked\r\n\r\n")
            for _ in 0..<20 { try await endless.send("64\r\n" + String(repeating: "x", count: 100) + "\r\n") }
            #expect(try await endless.reply().status == 413)

            let polite = try await TestConnection(port: server.port)
            try await polite.send(
                head
                    + "Connection: close\r\nContent-Length: \(shortRequest.utf8.count)\r\nExpect: 100-continue\r\n\r\n"
            )
            let first = try await polite.read { $0.count >= 25 }
            #expect(String(decoding: first, as: UTF8.self).hasPrefix("HTTP/1.1 100"))
            try await polite.send(shortRequest)
            #expect(try await polite.reply().status == 200)
        }
    }

    @Test(arguments: [
        "POST /generate HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /generate HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        "POST /generate HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n",
        "POST /generate HTTP/1.1\r\nHost: t\r\nContent-Length: 1e3\r\n\r\n",
        "POST /generate HTTP/1.1\r\nHost: t\r\nContent-Length: 18446744073709551616\r\n\r\n",
        "POST /generate HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n8000000000000000000\r\n",
        "GET /health HTTP/1.1\r\nHost : t\r\n\r\n", "nonsense\r\n\r\n", "GET /health HTTP/9.9\r\n\r\n",
        "\u{0}\u{1}\u{2}\r\n\r\n",
    ])
    func `what is not HTTP gets an error and the connection ends`(_ text: String) async throws {
        try await TestServer.run { server in
            let connection = try await TestConnection(port: server.port)
            try await connection.send(text + "GET /health HTTP/1.1\r\nHost: t\r\n\r\n")
            let bytes = try await connection.read()
            let reply = try TestReply(bytes)
            #expect(reply.status == 400 && reply["error", "message"].text != nil)
            #expect(String(decoding: bytes, as: UTF8.self).split(separator: "HTTP/1.1 ").count == 1)
        }
    }

    @Test func `headers have bounds`() async throws {
        try await TestServer.run { server in
            let long =
                "GET /health HTTP/1.1\r\nHost: t\r\nX: " + String(repeating: "x", count: 1 << 20) + "\r\n\r\n"
            let many =
                "GET /health HTTP/1.1\r\nHost: t\r\n" + String(repeating: "a: b\r\n", count: 70_000) + "\r\n"
            for text in [long, many] {
                let connection = try await TestConnection(port: server.port)
                async let sent: Void = connection.send(text)
                #expect(try await connection.reply().status == 431)
                try await sent
            }
        }
    }

    @Test func `slow headers and bodies are ended`() async throws {
        try await TestServer.run(configure: { ($0.headerSeconds, $0.bodySeconds) = (0.3, 0.3) }) { server in
            let silent = try await TestConnection(port: server.port)
            try await silent.send("GET /health HT")
            #expect(try await silent.reply().status == 408)
            let stalled = try await TestConnection(port: server.port)
            try await stalled.send(
                "POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
            )
            let reply = try await stalled.reply()
            #expect(reply.status == 408 && reply["error", "type"] == .string("invalid_request_error"))
        }
    }

    @Test func `a connection serves request after request and may rest only for a while`() async throws {
        try await TestServer.run(configure: { $0.keepAliveSeconds = 0.5 }) { server in
            let connection = try await TestConnection(port: server.port)
            let request = "GET /health HTTP/1.1\r\nHost: t\r\n\r\n"
            try await connection.send(request + request + request)
            let text = String(decoding: try await connection.read(), as: UTF8.self)
            #expect(text.split(separator: "HTTP/1.1 200").count == 3)
        }
    }

    @Test func `request ids are echoed when harmless and replaced when not`() async throws {
        try await TestServer.run { server in
            func id(_ name: String) async throws -> String? {
                let connection = try await TestConnection(port: server.port)
                try await connection.send(
                    "GET /health HTTP/1.1\r\nHost: t\r\nConnection: close\r\nX-Request-Id: \(name)\r\n\r\n")
                return try await connection.reply().fields["x-request-id"]
            }
            #expect(try await id("abc-1_2.3") == "abc-1_2.3")
            for name in ["a b", "a\"b", "<x>", String(repeating: "x", count: 129)] {
                let given = try await id(name)
                #expect(given != name && given?.count == 16)
            }
        }
    }

    @Test func `unknown paths and methods make no new series`() async throws {
        try await TestServer.run { server in
            _ = try await server.send("GET", "/first")
            _ = try await server.send("GET", "/metrics")
            let before = try await server.send("GET", "/metrics").body.split(separator: "\n").count
            for number in 0..<50 { _ = try await server.send("GET", "/path-\(number)") }
            #expect(try await server.send("GET", "/metrics").body.split(separator: "\n").count == before)
        }
    }
}
