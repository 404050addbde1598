import Engine
import Foundation
import JSON
import NIOSSL
import TestSupport
import Testing

@testable import Serving

/// Serving over TLS.
struct TLSTests {
    private static func file(_ name: String) -> String { Fixtures.url("tls/\(name)").path }

    private var client: TLSConfiguration {
        get throws {
            var client = TLSConfiguration.makeClientConfiguration()
            client.trustRoots = .file(Self.file("ca.pem"))
            return client
        }
    }

    private func secure(_ configuration: inout ServerConfiguration) {
        configuration.tls = try? TLSIdentity(
            certificateFile: Self.file("server.pem"), keyFile: Self.file("server.key"))
    }

    private func post(_ path: String, _ body: String) -> String {
        "POST \(path) HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Type: application/json\r\n"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    @Test func `answers and streams come over TLS`() async throws {
        try await TestServer.run(configure: secure) { server in
            let whole = try await TestConnection(port: server.port, tls: try client)
            try await whole.send(post("/generate", shortRequest))
            #expect(try await whole.reply().status == 200)
            let stream = try await TestConnection(port: server.port, tls: try client)
            try await stream.send(post("/generate_stream", shortRequest))
            #expect(try await stream.reply().events.last?["finished"] == .bool(true))
        }
    }

    @Test func `a client that leaves ends its request`() async throws {
        // Closing TLS waits up to five seconds for the other side: the answer has to last longer than that.
        try await TestServer.run(configure: secure, altered: { _ in .delay(seconds: 0.02) }) { server in
            for resets in [false, true] {
                let connection = try await TestConnection(port: server.port, tls: try client)
                try await connection.send(post("/generate_stream", longRequest))
                _ = try await connection.read { $0.count > 1_000 }
                try await resets ? connection.reset() : connection.close()
                try await server.settle(seconds: 3)
            }
            #expect(server.engine.statistics().requestsCancelled == 2)
        }
    }

    @Test func `old TLS and plain HTTP get nothing`() async throws {
        try await TestServer.run(configure: secure) { server in
            var old = try client
            old.minimumTLSVersion = .tlsv1
            old.maximumTLSVersion = .tlsv11
            let request = "GET /health HTTP/1.1\r\nHost: t\r\n\r\n"
            let refused = try await TestConnection(port: server.port, tls: old)
            try await refused.send(request)
            #expect(try await refused.read().isEmpty)
            let plain = try await TestConnection(port: server.port)
            try await plain.send(request)
            #expect(!String(decoding: try await plain.read(), as: UTF8.self).contains("HTTP/1.1"))
            let good = try await TestConnection(port: server.port, tls: try client)
            try await good.send("GET /health HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            #expect(try await good.reply().status == 200)
        }
    }

    @Test func `files that are of no use are told apart`() {
        func error(_ certificate: String, _ key: String) -> TLSFileError? {
            do throws(TLSFileError) {
                _ = try TLSIdentity(certificateFile: certificate, keyFile: key)
                return nil
            } catch {
                return error
            }
        }
        let (certificate, key, authority) =
            (Self.file("server.pem"), Self.file("server.key"), Self.file("ca.pem"))
        #expect(error(certificate, key) == nil)
        #expect(error("/nothing/here", key) == .unreadable("/nothing/here"))
        #expect(error(certificate, "/nothing/here") == .unreadable("/nothing/here"))
        #expect(error(key, key) == .noCertificate(key))
        #expect(error(certificate, certificate) == .noKey(certificate))
        #expect(error(authority, key) == .mismatch(certificate: authority, key: key))
    }
}
