import JSON
import TestSupport
import Testing

@testable import Serving

/// A server of several replicas.
struct ReplicaServerTests {
    @Test func `the load is told for each replica, and metrics in sum and for each`() async throws {
        try await TestServer.run(replicas: 2) { server in
            let idle = try await server.send("GET", "/token_load")
            #expect(
                idle.body
                    == #"{"current_load":[0.0,0.0],"logical_max_load":[0.0,0.0],"dynamic_max_load":[0.0,0.0]}"#
            )
            // Each has another beginning, so they take turns.
            var tokenCount = 0
            for word in ["Hello", "What is it?"] {
                let reply = try await server.post(
                    "/generate", #"{"inputs":"\#(word)","parameters":{"max_new_tokens":3,"ignore_eos":true}}"#
                )
                #expect(reply.status == 200)
                tokenCount += reply["prompt_tokens"].int ?? 0
            }
            let lines = try await server.send("GET", "/metrics").body.split(separator: "\n")
            #expect(lines.contains("vireo_engine_requests_finished_total 2"))
            #expect(lines.contains("vireo_prompt_tokens_total \(tokenCount)"))
            #expect(lines.contains("vireo_generated_tokens_total 6"))
            for replica in 0..<2 {
                let label = #"{replica="\#(replica)"}"#
                #expect(lines.contains("vireo_replica_requests_submitted_total\(label) 1"))
                #expect(lines.contains("vireo_replica_generated_tokens_total\(label) 3"))
                #expect(lines.contains("vireo_replica_requests_running\(label) 0"))
            }
            let types = lines.filter { $0.hasPrefix("# TYPE ") }.map { $0.split(separator: " ")[2] }
            #expect(Set(types).count == types.count)
        }
    }

    @Test func `a replica that fails ends the server, and until then the other answers`() async throws {
        let error = try await TestServer.errorOfFailing(inStep: 4, replicas: 2) { server in
            let running = try await server.post("/generate", longRequest)
            let next = try await server.post("/generate", shortRequest)
            let health = try await server.send("GET", "/health")
            #expect([running.status, next.status, health.status] == [500, 200, 503])
        }
        #expect(error == .deviceFailed("replica 0: it broke"))
    }

    @Test func `one replica is told of as before`() async throws {
        try await TestServer.run { server in
            let text = try await server.send("GET", "/metrics").body
            #expect(!text.contains("vireo_replica_"))
        }
    }
}
