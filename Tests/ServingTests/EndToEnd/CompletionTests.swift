import Engine
import JSON
import TestSupport
import Testing

@testable import Serving

/// `/v1/completions`.
struct CompletionTests {
    private func body(_ fields: String) -> String {
        #"{"model":"fixture","max_tokens":6,"temperature":0,"ignore_eos":true,\#(fields)}"#
    }

    private func native(_ inputs: String) -> String {
        #"{"inputs":\#(inputs),"parameters":{"max_new_tokens":6,"ignore_eos":true,"return_details":true}}"#
    }

    @Test(arguments: [#""Hello, world""#, "[5,6,7,8]"])
    func `a completion is what the native API generates`(prompt: String) async throws {
        try await TestServer.run { server in
            let native = try await server.post("/generate", native(prompt))
            let text = try #require(native["generated_text", "0"].text)
            let reply = try await server.post("/v1/completions", body(#""prompt":\#(prompt)"#))
            #expect(reply.status == 200 && reply["object"] == .string("text_completion"))
            #expect(reply["id"].text?.hasPrefix("cmpl-") == true && reply["model"] == .string("fixture"))
            #expect(reply["choices", "0", "text"] == .string(text))
            #expect(reply["choices", "0", "finish_reason"] == .string("length"))
            #expect(reply["choices", "0", "logprobs"] == .null)
            #expect(reply["usage", "prompt_tokens"] == native["prompt_tokens"])
            #expect(reply["usage", "completion_tokens"] == .int(6))

            let usage = #","stream":true,"stream_options":{"include_usage":true}"#
            let stream = try await server.post("/v1/completions", body(#""prompt":\#(prompt)\#(usage)"#))
            let choices = stream.events.flatMap { $0["choices"].elements }
            #expect(choices.compactMap { $0["text"].text }.joined() == text)
            #expect(choices.compactMap { $0["finish_reason"].text } == ["length"])
            #expect(stream.events.last?["usage"]["total_tokens"] == reply["usage", "total_tokens"])
            #expect(stream.body.hasSuffix("data: [DONE]\n\n"))
        }
    }

    @Test func `several prompts have a choice each, in their order`() async throws {
        try await TestServer.run { server in
            let prompts = [#""One""#, #""Two and three""#, #""Four""#]
            var texts: [JSONValue] = []
            var promptTokens = 0
            for prompt in prompts {
                let alone = try await server.post("/v1/completions", body(#""prompt":\#(prompt)"#))
                texts.append(alone["choices", "0", "text"])
                promptTokens += alone["usage", "prompt_tokens"].int ?? 0
            }
            let list = "[" + prompts.joined(separator: ",") + "]"
            let reply = try await server.post("/v1/completions", body(#""prompt":\#(list)"#))
            let choices = reply["choices"].elements
            #expect(choices.map { $0["text"] } == texts)
            #expect(choices.map { $0["index"] } == [.int(0), .int(1), .int(2)])
            #expect(reply["usage", "prompt_tokens"] == .int(promptTokens))
            #expect(reply["usage", "completion_tokens"] == .int(18))
            let ids = try await server.post("/v1/completions", body(#""prompt":[[5,6],[7,8]]"#))
            #expect(ids["choices"].elements.count == 2)
            let metrics = try await server.send("GET", "/metrics").body
            #expect(metrics.contains(#"vireo_requests_total{route="/v1/completions",status="200"} 5"#))
            try await server.settle()
        }
    }

    @Test func `several answers are choices of their own`() async throws {
        try await TestServer.run { server in
            let fields = #"{"prompt":["One","Two"],"n":2,"max_tokens":6,"ignore_eos":true,"seed":7}"#
            let reply = try await server.post("/v1/completions", fields)
            #expect(reply["choices"].elements.map { $0["index"] } == (0..<4).map { .int($0) })
            #expect(reply["usage", "completion_tokens"] == .int(24))
            let whole = try await server.post(
                "/v1/completions", #"{"prompt":"One","n":2,"max_tokens":6,"ignore_eos":true,"seed":7}"#)
            let texts = whole["choices"].elements.map { $0["text"].text }
            #expect(texts == reply["choices"].elements.prefix(2).map { $0["text"].text })
            #expect(reply["usage", "prompt_tokens"] != whole["usage", "prompt_tokens"])
            let stream = try await server.post(
                "/v1/completions",
                #"{"prompt":"One","n":2,"max_tokens":6,"ignore_eos":true,"seed":7,"stream":true,"logprobs":1}"#
            )
            let choices = stream.events.flatMap { $0["choices"].elements }
            for index in 0..<2 {
                let own = choices.filter { $0["index"] == .int(index) }
                #expect(own.compactMap { $0["text"].text }.joined() == texts[index])
                #expect(own.compactMap { $0["finish_reason"].text } == ["length"])
            }
            try await server.settle()
        }
    }

    @Test func `one bad prompt among several ends the others`() async throws {
        try await TestServer.run { server in
            let bad = #""max_tokens":900,"prompt":[[5,6],[7,100000000]]"#
            let reply = try await server.post("/v1/completions", #"{\#(bad),"ignore_eos":true}"#)
            #expect(reply.status == 400 && reply["error", "param"] == .string("prompt[1]"))
            try await server.settle(seconds: 2)
        }
    }

    @Test func `the prompt can be echoed, and a stop string is cut off`() async throws {
        try await TestServer.run { server in
            let plain = try await server.post("/v1/completions", body(#""prompt":"Hello""#))
            let text = try #require(plain["choices", "0", "text"].text)
            let echoed = try await server.post("/v1/completions", body(#""prompt":"Hello","echo":true"#))
            #expect(echoed["choices", "0", "text"] == .string("Hello" + text))
            let streamed = try await server.post(
                "/v1/completions", body(#""prompt":"Hello","echo":true,"stream":true"#))
            let pieces = streamed.events.flatMap { $0["choices"].elements }.compactMap { $0["text"].text }
            #expect(pieces.first == "Hello")
            #expect(pieces.joined() == "Hello" + text)
            let part = Self.cut(text)
            let quoted = String(decoding: Array("\"\(part.stop)\"".utf8), as: UTF8.self)
            let cut = try await server.post("/v1/completions", body(#""prompt":"Hello","stop":\#(quoted)"#))
            #expect(cut["choices", "0", "text"] == .string(part.before))
            #expect(cut["choices", "0", "finish_reason"] == .string("stop"))
        }
    }

    /// A part of a text, and what stands before it.
    private static func cut(_ text: String) -> (before: String, stop: String) {
        let stop = String(text.dropFirst(3).prefix(2))
        return (text.firstRange(of: stop).map { String(text[..<$0.lowerBound]) } ?? "", stop)
    }

    @Test func `log-probabilities have the older shape`() async throws {
        try await TestServer.run { server in
            let whole = try await server.post("/v1/completions", body(#""prompt":"Hello","logprobs":2"#))
            let logprobs = whole["choices", "0", "logprobs"]
            let tokens = logprobs["tokens"].elements.compactMap(\.text)
            #expect(tokens.count == 6 && tokens.joined() == whole["choices", "0", "text"].text)
            #expect(logprobs["token_logprobs"].elements.allSatisfy { ($0.double ?? 1) <= 0 })
            for (token, top) in zip(tokens, logprobs["top_logprobs"].elements) {
                #expect((1...3).contains(top.object?.members.count ?? 0) && top[token] != .null)
            }
            let lengths = tokens.map(\.unicodeScalars.count)
            let offsets = lengths.indices.map { lengths[..<$0].reduce(0, +) }
            #expect(logprobs["text_offset"].elements.map(\.int) == offsets)
            let stream = try await server.post(
                "/v1/completions", body(#""prompt":"Hello","logprobs":2,"stream":true"#))
            let parts = stream.events.flatMap { $0["choices"].elements }.map { $0["logprobs"] }
            #expect(parts.flatMap { $0["text_offset"].elements } == logprobs["text_offset"].elements)
            #expect(parts.flatMap { $0["tokens"].elements } == logprobs["tokens"].elements)
            let chosen = try await server.post("/v1/completions", body(#""prompt":"Hello","logprobs":0"#))
            #expect(
                chosen["choices", "0", "logprobs", "top_logprobs"].elements.allSatisfy {
                    $0.object?.members.count == 1
                })
        }
    }

    @Test func `an echoed prompt has log-probabilities too`() async throws {
        try await TestServer.run { server in
            let native = try await server.post("/generate", native("[5,6,7]"))
            let ids = native["tokens"].elements.compactMap { $0["id"].int }
            let wanted = native["tokens"].elements.compactMap { $0["logprob"].double }
            let prompt = ([5, 6, 7] + ids).map(String.init).joined(separator: ",")
            let fields =
                #"{"prompt":[\#(prompt)],"max_tokens":1,"echo":true,"logprobs":1,"temperature":0,"n":2}"#
            let reply = try await server.post("/v1/completions", fields)
            #expect(reply.status == 200, "\(reply.body)")
            for choice in reply["choices"].elements {
                let logprobs = choice["logprobs"]
                let found = logprobs["token_logprobs"].elements
                #expect(found.first == .null && logprobs["top_logprobs"].elements.first == .null)
                for (place, logprob) in wanted.enumerated() {
                    #expect(abs((found[3 + place].double ?? 1) - logprob) < 1e-4)
                }
                #expect(logprobs["text_offset"].elements.count == found.count)
            }
            let hello = try await server.post(
                "/v1/completions", body(#""prompt":"Hello, world","echo":true,"logprobs":0"#))
            let tokens = hello["choices", "0", "logprobs", "tokens"].elements.compactMap(\.text)
            let text = try #require(hello["choices", "0", "text"].text)
            #expect(tokens.joined() == text && text.hasPrefix("Hello, world"))
            let lengths = tokens.map(\.unicodeScalars.count)
            let offsets = lengths.indices.map { lengths[..<$0].reduce(0, +) }
            #expect(hello["choices", "0", "logprobs", "text_offset"].elements.map(\.int) == offsets)
        }
    }

    @Test(arguments: [
        (#""x":1"#, "prompt"), (#""prompt":null"#, "prompt"), (#""prompt":"""#, "prompt"),
        (#""prompt":[]"#, "prompt"), (#""prompt":[""]"#, "prompt"), (#""prompt":[[]]"#, "prompt"),
        (#""prompt":5"#, "prompt"), (#""prompt":[1,"a"]"#, "prompt"), (#""prompt":["a",1]"#, "prompt"),
        (#""prompt":[1.5]"#, "prompt"), (#""prompt":[{}]"#, "prompt"),
        (#""prompt":["a","a","a","a","a","a","a","a","a"]"#, "prompt"),
        (#""prompt":["a","b"],"stream":true"#, "stream"), (#""prompt":"a","suffix":"b""#, "suffix"),
        (#""prompt":"a","logprobs":6"#, "logprobs"), (#""prompt":"a","logprobs":-1"#, "logprobs"),
        (#""prompt":"a","logprobs":true"#, "logprobs"), (#""prompt":"a","echo":1"#, "echo"),
        (#""prompt":"a","echo":true,"logprobs":1,"stream":true"#, "echo"),
        (#""prompt":"a","max_tokens":0"#, "max_tokens"),
        (#""prompt":"a","top_p":2"#, "top_p"), (#""prompt":"a","stop":[""]"#, "stop"),
        (#""prompt":"a","n":0"#, "n"), (#""prompt":"a","best_of":9"#, "best_of"),
        (#""prompt":"a","temperature":-1"#, "temperature"), (#""prompt":"a","seed":-2"#, "seed"),
    ])
    func `fields that are wrong are named`(_ fields: String, _ param: String) throws {
        let json = try JSONValue(reading: Array("{\(fields)}".utf8))
        let error = #expect(throws: ServingError.self) {
            _ = try CompletionRequest(json, defaults: SamplingDefaults())
        }
        #expect(error?.status == 400 && error?.param == param)
    }

    @Test func `another model's name is not found`() async throws {
        try await TestServer.run { server in
            let reply = try await server.post("/v1/completions", #"{"model":"other","prompt":"a"}"#)
            #expect(reply.status == 404 && reply["error", "code"] == .string("model_not_found"))
        }
    }
}
