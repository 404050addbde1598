import JSON
import NIOSSL
import TestSupport
import Testing

@testable import Serving

/// Keys, web pages of other origins, and TLS.
struct AccessTests {
    private static let key = "sk-right-key"
    private static let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"]
    private static let open = ["/health", "/healthz", "/liveness", "/readiness"]

    private func keyed(_ configuration: inout ServerConfiguration) {
        configuration.keys = APIKeys(["sk-another", Self.key])
    }

    @Test func `without a key nothing but the probes answers`() async throws {
        try await TestServer.run(configure: keyed) { server in
            let attempts: [[String]] = [
                [], ["Authorization: Bearer wrong"], ["Authorization: Bearer sk-right-ke"],
                ["Authorization: Bearer sk-right-keyx"], ["Authorization: bearer \(Self.key)"],
                ["Authorization: \(Self.key)"], ["Authorization: Basic \(Self.key)"],
                ["Authorization: Bearer \(Self.key)", "Authorization: Bearer \(Self.key)"],
                ["X-Api-Key: \(Self.key)"],
            ]
            for route in RouteName.allCases where !Self.open.contains(route.rawValue) {
                let path = route == .unknown ? "/no/such/route" : route.rawValue
                for method in Self.methods {
                    let reply = try await server.send(method, path)
                    #expect(reply.status == 401, "\(method) \(path)")
                    #expect(reply.fields["www-authenticate"] == "Bearer")
                }
                for headers in attempts {
                    let reply = try await server.send(
                        "POST", path + "?api_key=\(Self.key)", "{}", headers: headers)
                    #expect(reply.status == 401, "\(path) \(headers)")
                    let type = reply["error", "type"].text
                    #expect(type == (path.hasPrefix("/v1/") ? "authentication_error" : "AuthenticationError"))
                    #expect(!reply.body.contains("sk-"))
                }
            }
            for path in Self.open { #expect(try await server.send("GET", path).status == 200) }
        }
    }

    @Test func `a key opens every route`() async throws {
        try await TestServer.run(configure: keyed) { server in
            let headers = ["Authorization: Bearer \(Self.key)"]
            for route in RouteName.allCases where route != .unknown {
                let reply = try await server.send("GET", route.rawValue, headers: headers)
                #expect(reply.status != 401 && reply.status != 404, "\(route.rawValue)")
            }
            let reply = try await server.send("POST", "/generate", shortRequest, headers: headers)
            #expect(reply.status == 200)
            let second = ["Authorization: Bearer sk-another"]
            #expect(try await server.send("GET", "/v1/models", headers: second).status == 200)
        }
    }

    @Test(arguments: [
        "GET /metrics HTTP/1.1\r\nHost: x/health?\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nHost: /health\r\n\r\n",
        "GET http://x/metrics HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http://x/health/../metrics HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /health/../metrics HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET //health HTTP/1.1\r\nHost: x\r\n\r\n", "GET /health/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /Health HTTP/1.1\r\nHost: x\r\n\r\n", "GET /%68ealth HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /metrics;/health HTTP/1.1\r\nHost: x\r\n\r\n", "GET /metrics?/health HTTP/1.1\r\n\r\n",
        "GET /metrics#/health HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-right-key\u{0}\r\n\r\n",
    ])
    func `no way of writing a request opens a route`(_ text: String) async throws {
        try await TestServer.run(configure: keyed) { server in
            let connection = try await TestConnection(port: server.port)
            try await connection.send(text)
            let bytes = try await connection.read { String(decoding: $0, as: UTF8.self).contains("}}") }
            let status = try TestReply(bytes).status
            #expect(status == 401 || status == 400)
        }
    }

    @Test func `keys are compared as a whole`() {
        let keys = APIKeys(["a", "ab"])
        #expect(keys.admit("Bearer a") && keys.admit("Bearer ab"))
        for value in [nil, "", "Bearer", "Bearer ", "Bearer b", "Bearer abc", "Bearer a ", "Bearer  a"] {
            #expect(!keys.admit(value))
        }
        #expect(!APIKeys().isRequired)
        #expect(APIKeys.isValid("sk-1") && !APIKeys.isValid("") && !APIKeys.isValid("a b"))
        #expect(!APIKeys.isValid("ä") && !APIKeys.isValid(String(repeating: "x", count: 1_025)))
    }

    @Test func `browsers are let through by origin`() async throws {
        let origin = "https://page.example:8443"
        try await TestServer.run(configure: {
            keyed(&$0)
            $0.crossOrigin = CrossOriginPolicy([origin, "http://localhost"])
        }) { server in
            func ask(_ origin: String, _ path: String = "/generate") async throws -> TestReply {
                let headers = ["Origin: \(origin)", "Access-Control-Request-Method: POST"]
                return try await server.send("OPTIONS", path, headers: headers)
            }
            let asked = try await ask(origin)
            #expect(asked.status == 204 && asked.body.isEmpty)
            #expect(asked.fields["access-control-allow-origin"] == origin)
            #expect(asked.fields["access-control-allow-methods"] == "POST")
            #expect(asked.fields["access-control-allow-headers"]?.contains("Authorization") == true)
            #expect(asked.fields["vary"] == "Origin")
            for other in ["https://page.example", "https://page.example:8443.evil", "null", origin + "/"] {
                let refused = try await ask(other)
                #expect(refused.status == 401)
                #expect(refused.fields["access-control-allow-origin"] == nil)
                #expect(refused.fields["vary"] == "Origin")
            }
            #expect(try await ask(origin, "/no/such/route").status == 401)
            let headers = ["Authorization: Bearer \(Self.key)", "Origin: \(origin)"]
            let reply = try await server.send("POST", "/generate_stream", shortRequest, headers: headers)
            #expect(reply.status == 200 && reply.fields["access-control-allow-origin"] == origin)
            let bad = try await server.send("POST", "/generate", "{}", headers: headers)
            #expect(bad.status == 400 && bad.fields["access-control-allow-origin"] == origin)
            let direct = try await server.send("GET", "/health")
            #expect(direct.fields["access-control-allow-origin"] == nil)
        }
    }

    @Test func `all origins, or none`() async throws {
        try await TestServer.run(configure: { $0.crossOrigin = CrossOriginPolicy(["*"]) }) { server in
            let reply = try await server.send("GET", "/health", headers: ["Origin: https://any.example"])
            #expect(reply.fields["access-control-allow-origin"] == "*")
        }
        try await TestServer.run { server in
            let headers = ["Origin: https://any.example", "Access-Control-Request-Method: POST"]
            let reply = try await server.send("OPTIONS", "/generate", headers: headers)
            #expect(reply.status == 405 && reply.fields["vary"] == nil)
            #expect(reply.fields["access-control-allow-origin"] == nil)
        }
    }

    @Test func `origins are written as browsers write them`() {
        for origin in ["*", "https://a.example", "http://localhost:3000", "http://[::1]:80"] {
            #expect(CrossOriginPolicy.isValid(origin), "\(origin)")
        }
        for origin in [
            "", "a.example", "https://a.example/", "https://A.example", "https://a.example/x", "null",
            "https://a.example?", "https://a.example#", "ftp://a.example", "https://*.example",
        ] {
            #expect(!CrossOriginPolicy.isValid(origin), "\(origin)")
        }
    }
}
