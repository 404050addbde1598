import JSON
import TestSupport
import Testing

@testable import Serving

/// Sampling rules, several answers and reports on prompts, over HTTP.
struct SamplingAnswerTests {
    private func native(_ parameters: String) -> String {
        #"{"inputs":[5,6,7,8,9],"parameters":{"max_new_tokens":12,"ignore_eos":true,"return_details":true\#(parameters)}}"#
    }

    private func chat(_ fields: String, temperature: Double = 0) -> String {
        """
        {"messages":[{"role":"user","content":"Hello"}],"max_tokens":12,"ignore_eos":true,
        "temperature":\(temperature)\(fields)}
        """
    }

    @Test func `several answers come as lists, each by its own seed`() async throws {
        try await TestServer.run { server in
            let seeded = #","do_sample":true,"temperature":1.5,"seed":"#
            let reply = try await server.post("/generate", native(seeded + #"3,"best_of":3,"n":3"#))
            #expect(reply.status == 200)
            #expect(reply["generated_text"].elements.count == 3)
            #expect(reply["count_output_tokens"] == .array([.int(12), .int(12), .int(12)]))
            #expect(
                reply["finish_reason"] == .array([.string("length"), .string("length"), .string("length")]))
            #expect(reply["prompt_tokens"] == .int(5))
            #expect(reply["logprobs"].elements.map(\.elements.count) == [12, 12, 12])
            for index in 0..<3 {
                let alone = try await server.post("/generate", native(seeded + "\(3 + index)"))
                #expect(alone["generated_text", "0"] == reply["generated_text"].elements[index])
                #expect(
                    reply["tokens"].elements[index].elements.map { $0["id"] }
                        == alone["tokens"].elements.map { $0["id"] })
            }
            let stream = try await server.post("/generate_stream", native(seeded + #"3,"best_of":2"#))
            #expect(stream.status == 400 && stream["error", "param"] == .string("parameters.best_of"))
            try await server.settle()
        }
    }

    @Test func `several choices, whole and streamed`() async throws {
        try await TestServer.run { server in
            let fields = #","seed":5,"n":3"#
            let whole = try await server.post("/v1/chat/completions", chat(fields, temperature: 1.5))
            let choices = whole["choices"].elements
            #expect(choices.map { $0["index"] } == [.int(0), .int(1), .int(2)])
            #expect(Set(choices.map { $0["message"]["content"].text }).count == 3)
            #expect(whole["usage", "completion_tokens"] == .int(36))
            let streamed = try await server.post(
                "/v1/chat/completions",
                chat(fields + #","stream":true,"stream_options":{"include_usage":true}"#, temperature: 1.5))
            let events = streamed.events.flatMap { $0["choices"].elements }
            for (index, choice) in choices.enumerated() {
                let own = events.filter { $0["index"].int == index }
                #expect(own.first?["delta"]["role"] == .string("assistant"))
                #expect(
                    own.compactMap { $0["delta"]["content"].text }.joined()
                        == choice["message"]["content"].text)
                #expect(own.compactMap { $0["finish_reason"].text } == ["length"])
            }
            #expect(streamed.events.last?["usage"]["completion_tokens"] == .int(36))
            #expect(streamed.body.hasSuffix("data: [DONE]\n\n"))
            try await server.settle()
        }
    }

    @Test func `penalties, biases, allowed and stop tokens change the answer`() async throws {
        try await TestServer.run { server in
            func ids(_ parameters: String) async throws -> [Int] {
                let reply = try await server.post("/generate", native(parameters))
                #expect(reply.status == 200, "\(reply.body.prefix(300))")
                return reply["tokens"].elements.compactMap { $0["id"].int }
            }
            let plain = try await ids("")
            #expect(try await ids(#","logit_bias":{"77":100}"#) == Array(repeating: 77, count: 12))
            #expect(Set(try await ids(#","logit_bias":{"77":100},"presence_penalty":100"#)).count == 12)
            #expect(Set(try await ids(#","allowed_token_ids":[70,71]"#)).isSubset(of: [70, 71]))
            #expect(try await ids(#","stop_token_ids":[\#(plain[0])]"#).isEmpty)
            #expect(try await ids(#","stop_sequences":[[\#(plain[0])]]"#) == [plain[0]])
            let stream = try await server.post(
                "/generate_stream", native(#","stop_sequences":[[\#(plain[0])]]"#))
            #expect(stream.events.map { $0["token"]["id"].int } == [plain[0], -1])
            let chat = try await server.post(
                "/v1/chat/completions", chat(#","logprobs":true,"logit_bias":{"77":100}"#))
            #expect(
                Set(chat["choices", "0", "logprobs", "content"].elements.map { $0["token"].text }).count == 1)
        }
    }

    @Test func `the prompt's log-probabilities come with the answer or the last event`() async throws {
        try await TestServer.run { server in
            let body = native(#","prompt_logprobs":2"#)
            let whole = try await server.post("/generate", body)
            #expect(whole["prompt_token_ids"] == .array([5, 6, 7, 8, 9].map { .int($0) }))
            let entries = whole["prompt_logprobs"].elements
            #expect(entries.count == 5 && entries[0] == .null)
            for (id, entry) in zip(5..., entries).dropFirst() {
                guard case .object(let object) = entry else { throw ServingError.failed }
                #expect(object.members.first?.key == "\(id)" && (2...3).contains(object.members.count))
                #expect(entry["\(id)"]["rank"].int != nil && entry["\(id)"]["decoded_token"].text != nil)
            }
            let stream = try await server.post("/generate_stream", body)
            #expect(
                stream.events.map { $0["prompt_logprobs"].elements.count } == Array(repeating: 0, count: 11)
                    + [5])
            #expect(stream.events.last?["prompt_logprobs"] == whole["prompt_logprobs"])
            #expect(try await server.post("/generate", native(""))["prompt_logprobs"] == .null)
        }
    }

    @Test(arguments: [
        ("allowed_token_ids", "[100000]"), ("stop_token_ids", "[100000]"), ("logit_bias", #"{"100000":1}"#),
        ("stop_sequences", "[[5,100000]]"),
    ])
    func `ids beyond the vocabulary are named`(name: String, value: String) async throws {
        try await TestServer.run { server in
            for path in ["/generate", "/generate_stream"] {
                let reply = try await server.post(path, native(#","min_new_tokens":1,"\#(name)":\#(value)"#))
                #expect(reply.status == 400 && reply["error", "param"] == .string("parameters.\(name)"))
            }
            guard name != "stop_sequences" else { return }
            let reply = try await server.post("/v1/chat/completions", chat(#","\#(name)":\#(value)"#))
            #expect(reply.status == 400 && reply["error", "param"] == .string(name))
        }
    }
}
