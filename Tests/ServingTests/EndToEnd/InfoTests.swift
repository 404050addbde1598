import Engine
import Foundation
import Images
import JSON
import TestSupport
import Testing

@testable import Serving

/// LightLLM's routes that count and tell.
struct InfoTests {
    private func count(_ text: String, _ images: String = "", _ parameters: String = "") -> String {
        let quoted = String(decoding: JSONWriter.bytes { $0.string(text) }, as: UTF8.self)
        return """
            {"text":\(quoted),"parameters":{\(parameters)},"multimodal_params":{"images":[\(images)]}}
            """
    }

    @Test func `tokens are counted as the engine counts them`() async throws {
        let golden = try #require(GoldenFile.of(TestServer.modelName).cases.first { $0.name == "one-tile" })
        let bytes = Fixtures.bytes("images/\(golden.images[0].file)")
        let header = try ImageFile.readHeader(of: bytes)
        let base64 = #"{"type":"base64","data":"\#(Data(bytes).base64EncodedString())"}"#
        let size = #"{"type":"image_size","data":[\#(header.width),\#(header.height)]}"#
        try await TestServer.run { server in
            for image in [base64, size] {
                let reply = try await server.post("/tokens", count(golden.opengvlabPrompt, image))
                #expect(reply.body == #"{"ntokens":\#(golden.inputIds.count)}"#)
            }
            let generated = try await server.post("/generate", shortRequest)
            let text = try await server.send("GET", "/tokens", #"{"text":"Hello"}"#)
            #expect(text["ntokens"] == generated["prompt_tokens"])
            // Twelve tiles and a thumbnail, of 16 tokens each, without the cap.
            let wide = #"{"type":"image_size","data":[4000,3000]}"#
            let all = try await server.post("/tokens", count("<image>", wide))["ntokens"].int ?? 0
            let capped =
                try await server.post(
                    "/tokens", count("<image>", wide, #""image_max_patch_num":1"#))["ntokens"].int ?? 0
            #expect(all == 13 * 16 + capped - 16)
            #expect(server.engine.statistics().requestsSubmitted == 1)
        }
    }

    @Test func `what cannot be counted is refused`() async throws {
        try await TestServer.run { server in
            let sizes = [
                "[0,1]", "[1]", "[-1,5]", "5", "[9223372036854775807,9223372036854775807]", "[1,100000]",
            ]
            for size in sizes {
                let image = #"{"type":"image_size","data":\#(size)}"#
                let reply = try await server.post("/tokens", count("<image>", image))
                #expect(reply.status == 400, "\(size)")
                #expect(reply["error", "param"].text?.hasPrefix("multimodal_params.images[0]") == true)
            }
            let size = #"{"type":"image_size","data":[9,9]}"#
            let bodies = [
                "{}", "[]", #"{"text":5}"#, #"{"text":""}"#, count("no tag", size),
                count("<image>", #"{"type":"x"}"#),
                count("<image>", size, #""image_max_patch_num":257"#),
                count(String(repeating: "x", count: 1 << 21)),
            ]
            for body in bodies { #expect(try await server.post("/tokens", body).status == 400) }
            let generate = #"{"inputs":"<image>","multimodal_params":{"images":[\#(size)]}}"#
            #expect(try await server.post("/generate", generate).status == 400)
            #expect(try await server.send("DELETE", "/tokens").fields["allow"] == "GET, POST")
        }
    }

    @Test func `the server tells its name, its arguments and its load`() async throws {
        try await TestServer.run(
            configure: {
                $0.startArguments = ["port": .int(8080), "eos_id": .array([.int(1)]), "model_name": .null]
            }, altered: { _ in .delay(seconds: 0.003) }
        ) { server in
            #expect(try await server.send("GET", "/get_model_name").body == #"{"model_name":"fixture"}"#)
            #expect(try await server.post("/get_model_name", "").status == 200)
            let info = try await server.send("GET", "/get_server_info")
            #expect(info.body == #"{"port":8080,"eos_id":[1],"model_name":null}"#)
            let idle = try await server.send("GET", "/token_load")
            #expect(idle.body == #"{"current_load":0.0,"logical_max_load":0.0,"dynamic_max_load":0.0}"#)
            let connection = try await TestConnection(port: server.port)
            try await connection.send(
                "POST /generate_stream HTTP/1.1\r\nHost: t\r\nContent-Length: \(longRequest.utf8.count)\r\n\r\n"
                    + longRequest)
            _ = try await connection.read { $0.count > 1_000 }
            let busy = try await server.send("GET", "/token_load")
            let (current, most) = (busy["current_load"].double ?? 0, busy["dynamic_max_load"].double ?? 0)
            #expect(current > 0 && most >= current && busy["logical_max_load"] == busy["dynamic_max_load"])
            try await connection.close()
            try await server.settle()
        }
    }
}
