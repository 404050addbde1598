import Engine
import Foundation
import JSON
import TestSupport
import Testing

@testable import Serving

/// Answers of the real engine over HTTP.
struct AnswerTests {
    private let golden: GoldenCase

    init() throws {
        golden = try #require(GoldenFile.of(TestServer.modelName).cases.first { $0.name == "one-tile" })
    }

    private var image: String {
        Data(Fixtures.bytes("images/\(golden.images[0].file)")).base64EncodedString()
    }

    private func native(_ parameters: String = "") -> String {
        let prompt = String(
            decoding: JSONWriter.bytes { $0.string(golden.opengvlabPrompt) }, as: UTF8.self)
        return """
            {"inputs":\(prompt),"parameters":{"max_new_tokens":\(golden.greedyIds.count),"ignore_eos":true,
            "return_details":true\(parameters)},"multimodal_params":{"images":[{"type":"base64","data":"\(image)"}]}}
            """
    }

    private func chat(_ fields: String = "") -> String {
        let messages = JSONWriter.bytes { json in
            json.array { json in
                for message in golden.messages {
                    json.object { json in
                        json.member("role", message.role)
                        json.array("content") { json in
                            for part in message.parts {
                                json.object { json in
                                    json.member("type", part.text == nil ? "image_url" : "text")
                                    if let text = part.text {
                                        json.member("text", text)
                                    } else {
                                        json.object("image_url") {
                                            $0.member("url", "data:image/png;base64,\(image)")
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        return """
            {"model":"fixture","messages":\(String(decoding: messages, as: UTF8.self)),"temperature":0,
            "max_tokens":\(golden.greedyIds.count),"ignore_eos":true\(fields)}
            """
    }

    @Test func `both APIs give the reference's tokens, whole and streamed`() async throws {
        try await TestServer.run { server in
            let whole = try await server.post("/generate", native())
            #expect(whole.status == 200 && whole.fields["content-type"] == "application/json")
            #expect(whole["tokens"].elements.map { $0["id"].int } == golden.greedyIds.map { Int($0) })
            #expect(whole["count_output_tokens"] == .int(golden.greedyIds.count))
            #expect(whole["prompt_tokens"] == .int(golden.inputIds.count))
            #expect(whole["finish_reason"] == .string("length"))
            #expect(whole["logprobs"].elements.count == golden.greedyIds.count)
            #expect(whole["input_usage"]["input_image_tokens"] == .int(16))
            let text = try #require(whole["generated_text", "0"].text)

            let stream = try await server.post("/generate_stream", native())
            #expect(
                stream.status == 200 && stream.fields["content-type"]?.hasPrefix("text/event-stream") == true)
            let events = stream.events
            #expect(events.map { $0["token"]["id"].int } == golden.greedyIds.map { Int($0) })
            #expect(events.compactMap { $0["token"]["text"].text }.joined() == text)
            #expect(events.map { $0["finished"] } == events.indices.map { .bool($0 == events.count - 1) })
            #expect(events.last?["finish_reason"] == .string("length"))
            #expect(!stream.body.contains("[DONE]"))

            let reply = try await server.post("/v1/chat/completions", chat())
            #expect(reply.status == 200)
            #expect(reply["choices", "0", "message", "content"] == .string(text))
            #expect(reply["choices", "0", "finish_reason"] == .string("length"))
            #expect(reply["usage", "prompt_tokens"] == .int(golden.inputIds.count))

            let chunks = try await server.post(
                "/v1/chat/completions", chat(#","stream":true,"stream_options":{"include_usage":true}"#))
            let choices = chunks.events.flatMap { $0["choices"].elements }
            #expect(choices.compactMap { $0["delta"]["content"].text }.joined() == text)
            #expect(choices.compactMap { $0["finish_reason"].text } == ["length"])
            #expect(chunks.events.last?["usage"] == reply["usage"])
            #expect(chunks.body.hasSuffix("data: [DONE]\n\n"))
            #expect(server.engine.statistics().imageCacheHits == 3)
            try await server.settle()
        }
    }

    @Test func `a stop string ends an answer, kept or cut off`() async throws {
        try await TestServer.run { server in
            let whole = try await server.post("/generate", native())
            let text = try #require(whole["generated_text", "0"].text)
            let start = try #require(text.index(text.startIndex, offsetBy: 9, limitedBy: text.endIndex))
            let stop = String(text[start...].prefix(3))
            let before = String(text[..<(try #require(text.firstRange(of: stop))).lowerBound])
            let quoted = String(decoding: JSONWriter.bytes { $0.string(stop) }, as: UTF8.self)
            let kept = try await server.post("/generate", native(",\"stop_sequences\":[\(quoted)]"))
            #expect(kept["generated_text", "0"] == .string(before + stop))
            #expect(kept["finish_reason"] == .string("stop"))
            let cut = try await server.post("/v1/chat/completions", chat(",\"stop\":\(quoted)"))
            #expect(cut["choices", "0", "message", "content"] == .string(before))
            let streamed = try await server.post(
                "/v1/chat/completions", chat(",\"stop\":\(quoted),\"stream\":true"))
            let pieces = streamed.events.flatMap { $0["choices"].elements }.compactMap {
                $0["delta"]["content"].text
            }
            #expect(pieces.joined() == before)
            try await server.settle()
        }
    }

    @Test func `log-probabilities have OpenAI's shape`() async throws {
        try await TestServer.run { server in
            let reply = try await server.post(
                "/v1/chat/completions", chat(#","logprobs":true,"top_logprobs":2"#))
            let content = reply["choices", "0", "logprobs", "content"].elements
            #expect(content.count == golden.greedyIds.count)
            for entry in content {
                let top = entry["top_logprobs"].elements
                #expect(
                    top.count == 2 && top[0]["logprob"] == entry["logprob"]
                        && entry["bytes"].elements.count > 0)
            }
        }
    }

    @Test func `tokens and seeds decide the answer`() async throws {
        try await TestServer.run { server in
            let ids = #"{"inputs":[5,6,7],"parameters":{"max_new_tokens":4,"ignore_eos":true}}"#
            let reply = try await server.post("/generate", ids)
            #expect(reply["prompt_tokens"] == .int(3) && reply["count_output_tokens"] == .int(4))
            let seeded = native(#","do_sample":true,"temperature":1.5,"seed":7"#)
            let first = try await server.post("/generate", seeded)
            let second = try await server.post("/generate", seeded)
            #expect(first["generated_text"] == second["generated_text"] && first.status == 200)
            let root = try await server.post(
                "/", #"{"inputs":"Hello","stream":true,"parameters":{"max_new_tokens":2}}"#)
            #expect(root.fields["content-type"]?.hasPrefix("text/event-stream") == true)
        }
    }

    @Test func `bad pictures leave nothing behind`() async throws {
        try await TestServer.run { server in
            for picture in ["", "AAAA", "A", "====", String(image.prefix(400)), String(image.dropLast(200))] {
                let body = native().replacingOccurrences(of: image, with: picture)
                for path in ["/generate", "/generate_stream"] {
                    let reply = try await server.post(path, body)
                    #expect(reply.status == 400 && reply["error", "type"] == .string("BadRequestError"))
                    #expect(reply["error", "param"] == .string("multimodal_params.images[0]"))
                }
                let chat = try await server.post(
                    "/v1/chat/completions", chat().replacingOccurrences(of: image, with: picture))
                #expect(chat.status == 400 && chat["error", "type"] == .string("invalid_request_error"))
            }
            let item = #"{"type":"base64","data":"AAAA"}"#
            let many = "[" + Array(repeating: item, count: 33).joined(separator: ",") + "]"
            let reply = try await server.post(
                "/generate", #"{"inputs":"x","multimodal_params":{"images":\#(many)}}"#)
            #expect(reply.status == 400 && reply["error", "param"] == .string("multimodal_params.images"))
            try await server.settle()
            #expect(server.engine.statistics().cachedImages == 0)
            #expect(try await server.post("/generate", native()).status == 200)
        }
    }

    @Test func `prompts that cannot fit are refused`() async throws {
        try await TestServer.run { server in
            let long = String(repeating: "word ", count: 100_000)
            let bodies = [
                #"{"inputs":"\#(long)"}"#,
                #"{"inputs":[\#(Array(repeating: "5", count: 5_000).joined(separator: ","))]}"#,
                #"{"inputs":[-1]}"#, #"{"inputs":[100000000]}"#,
                #"{"inputs":"Hi","parameters":{"min_new_tokens":2147483648}}"#,
            ]
            for body in bodies {
                let reply = try await server.post("/generate", body)
                #expect(reply.status == 400, "\(reply.body.prefix(200))")
            }
            let cut = try await server.post(
                "/generate", #"{"inputs":"Hi","parameters":{"max_new_tokens":9999999,"ignore_eos":true}}"#)
            #expect(cut.status == 200 && cut["finish_reason"] == .string("length"))
        }
    }
}
