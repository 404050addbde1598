import JSON
import Prompts
import Scheduling
import Testing

@testable import Serving

/// The bodies of both APIs.
struct RequestTests {
    private func json(_ text: String) throws -> JSONValue { try JSONValue(reading: Array(text.utf8)) }

    private func native(_ parameters: String) throws -> GenerateRequest {
        try GenerateRequest(
            json(#"{"inputs":"Hello","parameters":{\#(parameters)}}"#), defaults: SamplingDefaults())
    }

    private func chat(_ fields: String) throws -> ChatRequest {
        let text = #"{"messages":[{"role":"user","content":"Hi"}]\#(fields.isEmpty ? "" : ",")\#(fields)}"#
        return try ChatRequest(json(text), defaults: SamplingDefaults())
    }

    private func error(_ body: () throws -> Void) -> ServingError? {
        do {
            try body()
            return nil
        } catch {
            return error as? ServingError
        }
    }

    @Test func `without parameters the native API is greedy and fills the context`() throws {
        let request = try GenerateRequest(json(#"{"inputs":"Hello"}"#), defaults: SamplingDefaults())
        #expect(request.generation.sampling == SamplingChoice())
        guard case .text("Hello", true) = request.generation.prompt else { throw ServingError.failed }
        #expect(request.generation.skipsSpecialTokens && !request.returnsDetails && !request.streams)
    }

    @Test func `native parameters are read`() throws {
        let request = try native(
            #"""
            "do_sample":true,"temperature":0.5,"top_p":0.9,"top_k":40,"seed":7,"max_new_tokens":5,"min_new_tokens":2,
            "ignore_eos":true,"stop_sequences":["a","b"],"image_max_patch_num":4,"return_details":true,
            "skip_special_tokens":false,"add_special_tokens":false,"unknown":[1]
            """#)
        let choice = request.generation.sampling
        #expect(choice.temperature == 0.5 && choice.topP == 0.9 && choice.topK == 40 && choice.seed == 7)
        #expect(choice.maxNewTokens == 5 && choice.minNewTokens == 2 && choice.ignoresEnd)
        #expect(request.generation.stops == [[97], [98]] && request.generation.maxTiles == 4)
        #expect(request.returnsDetails && !request.generation.skipsSpecialTokens)
    }

    @Test func `a checkpoint's defaults fill what a request leaves open`() throws {
        let defaults = SamplingDefaults(samples: true, temperature: 0.7, topP: 0.8, topK: 20)
        let request = try GenerateRequest(json(#"{"inputs":"Hello"}"#), defaults: defaults)
        #expect(request.generation.sampling.temperature == 0.7 && request.generation.sampling.topK == 20)
        let off = try GenerateRequest(
            json(#"{"inputs":"H","parameters":{"do_sample":false}}"#), defaults: defaults)
        #expect(off.generation.sampling == SamplingChoice())
        let body = try json(#"{"messages":[{"role":"user","content":"Hi"}],"top_p":0.5}"#)
        let chat = try ChatRequest(body, defaults: defaults)
        #expect(chat.generation.sampling.temperature == 0.7 && chat.generation.sampling.topP == 0.5)
    }

    @Test(arguments: [
        #""max_new_tokens":0"#, #""max_new_tokens":-1"#, #""max_new_tokens":9223372036854775808"#,
        #""max_new_tokens":1e30"#,
        #""max_new_tokens":"5""#, #""max_new_tokens":1.5"#, #""temperature":-1"#, #""temperature":"NaN""#,
        #""temperature":101"#,
        #""top_p":0"#, #""top_p":1.0000001"#, #""top_k":0"#, #""top_k":-2"#, #""top_k":2147483648"#,
        #""seed":-2"#,
        #""seed":9223372036854775808"#, #""best_of":0"#, #""best_of":9"#, #""n":2"#, #""n":16384"#,
        #""n":1,"best_of":2"#, #""n":2147483648"#,
        #""repetition_penalty":0"#, #""repetition_penalty":1e308"#, #""repetition_penalty":"NaN""#,
        #""presence_penalty":-1e308"#, #""frequency_penalty":1e308"#, #""frequency_penalty":-2.5"#,
        #""min_p":-0.1"#, #""min_p":1.5"#, #""min_p":"0""#,
        #""ignore_eos":1"#,
        #""stop_sequences":"""#, #""stop_sequences":[""]"#, #""stop_sequences":[1,"a"]"#,
        #""stop_sequences":[[1,-2]]"#, #""stop_sequences":[[]]"#, #""stop_sequences":[[1.5]]"#,
        #""stop_sequences":[[1],"a"]"#, #""stop_sequences":[[2147483648]]"#,
        #""stop_token_ids":[-1]"#, #""stop_token_ids":5"#, #""stop_token_ids":[1.5]"#,
        #""stop_token_ids":[2147483648]"#,
        #""stop_sequences":["a","a","a","a","a","a","a","a","a","a","a"]"#, #""stop_sequences":5"#,
        #""regular_constraint":"("# + "\"", #""guided_json":"{}""#, #""guided_grammar":"json""#,
        #""allowed_token_ids":["5"]"#, #""allowed_token_ids":[-5]"#, #""allowed_token_ids":5"#,
        #""logit_bias":{"5":101}"#, #""logit_bias":{"05":1}"#, #""logit_bias":{"-5":1}"#,
        #""logit_bias":{"x":1}"#, #""logit_bias":{"5":"1"}"#, #""logit_bias":{"4294967296":1}"#,
        #""logit_bias":[5]"#, #""prompt_logprobs":21"#, #""prompt_logprobs":-2"#,
        #""prompt_logprobs":1000000000"#, #""input_penalty":1"#,
        #""exponential_decay_length_penalty":[1]"#, #""exponential_decay_length_penalty":[-1,2.0]"#,
        #""exponential_decay_length_penalty":[1,"2"]"#, #""exponential_decay_length_penalty":[1,0.5]"#,
        #""exponential_decay_length_penalty":[1,1e300]"#, #""exponential_decay_length_penalty":2"#,
        #""image_max_patch_num":1e30"#,
        #""print_eos_token":true"#,
        #""return_details":"yes""#,
    ])
    func `native parameters that are wrong or not there yet are named`(_ parameter: String) {
        let name = parameter.split(separator: "\"")[0]
        let found = error { _ = try native(parameter) }
        #expect(found?.status == 400)
        #expect(found?.param == "parameters.\(name)")
    }

    @Test func `penalties, token rules and the number of answers are read in both APIs`() throws {
        let shared = #"""
            "min_p":0.1,"repetition_penalty":1.5,"presence_penalty":0.5,"frequency_penalty":-1,"input_penalty":true,
            "exponential_decay_length_penalty":[3,1.5],"allowed_token_ids":[9,7],"logit_bias":{"5":-100,"2":0.5},
            "stop_token_ids":[4]
            """#
        let native = try native(
            shared + #","n":3,"best_of":3,"prompt_logprobs":2,"stop_sequences":[[1,2],[3]]"#)
        let chat = try chat(shared + #","n":2"#)
        #expect(native.generation.answerCount == 3 && chat.generation.answerCount == 2)
        #expect(native.generation.sampling.promptLogprobCount == 2 && native.generation.stops.isEmpty)
        for choice in [native.generation.sampling, chat.generation.sampling] {
            #expect(
                choice.minP == 0.1 && choice.penalties.repetition == 1.5 && choice.penalties.presence == 0.5)
            #expect(choice.penalties.frequency == -1 && choice.penalties.countsPrompt)
            #expect(choice.penalties.lengthDecay?.start == 3 && choice.penalties.lengthDecay?.factor == 1.5)
            #expect(choice.rules.allowedIDs == [7, 9] && choice.rules.biasedIDs == [2, 5])
            #expect(choice.rules.biases == [0.5, -100] && choice.rules.stopIDs == [4])
        }
        #expect(native.generation.sampling.rules.stopSequences == [[1, 2], [3]])
        #expect(try self.native(#""best_of":2"#).generation.answerCount == 2)
    }

    @Test func `a checkpoint's repetition penalty is the default`() throws {
        let defaults = SamplingDefaults(repetitionPenalty: 1.2)
        let request = try GenerateRequest(json(#"{"inputs":"Hello"}"#), defaults: defaults)
        #expect(request.generation.sampling.penalties.repetition == 1.2)
        let off = try GenerateRequest(
            json(#"{"inputs":"H","parameters":{"repetition_penalty":1}}"#), defaults: defaults)
        #expect(off.generation.sampling.penalties.repetition == 1)
    }

    @Test func `a stop string may have 256 bytes`() throws {
        let longest = String(repeating: "x", count: 256)
        #expect(try native(#""stop_sequences":"\#(longest)""#).generation.stops == [Array(longest.utf8)])
        #expect(error { _ = try native(#""stop_sequences":"\#(longest)x""#) }?.status == 400)
    }

    @Test func `parameters at their neutral values are taken`() throws {
        let request = try native(
            #"""
            "do_sample":false,"temperature":1.0,"top_p":1.0,"top_k":-1,"seed":-1,"best_of":1,"n":1,"repetition_penalty":1,
            "presence_penalty":0.0,"frequency_penalty":0,"stop_sequences":[],"logit_bias":{},"allowed_token_ids":[],
            "image_max_patch_num":-1,"prompt_logprobs":null,"exponential_decay_length_penalty":[1,1.0],"guided_json":""
            """#)
        #expect(request.generation.sampling == SamplingChoice())
    }

    @Test(arguments: [
        "{}", #"{"inputs":null}"#, #"{"inputs":5}"#, #"{"inputs":""}"#, #"{"inputs":[]}"#,
        #"{"inputs":[1.5]}"#,
        #"{"inputs":["a"]}"#, #"{"inputs":[9223372036854775808]}"#, #"{"inputs":"x","parameters":[]}"#,
        #"{"inputs":"x","parameters":null}"#, #"{"inputs":"x","multimodal_params":[]}"#,
        #"{"inputs":"x","multimodal_params":{"audios":[1]}}"#, #"{"inputs":"x","multimodal_params":{"x":1}}"#,
        #"{"inputs":"x","multimodal_params":{"images":{}}}"#,
        #"{"inputs":"x","multimodal_params":{"images":[5]}}"#,
        #"{"inputs":"x","multimodal_params":{"images":[{"type":"url"}]}}"#,
        #"{"inputs":"x","multimodal_params":{"images":[{"data":"AAAA"}]}}"#,
        #"{"inputs":"x","multimodal_params":{"images":[{"type":"image_size","data":[1,1]}]}}"#, "[]", "null",
        "5",
    ])
    func `native bodies of another shape are refused`(_ text: String) throws {
        let body = try json(text)
        let found = error { _ = try GenerateRequest(body, defaults: SamplingDefaults()) }
        #expect(found?.status == 400)
        #expect(found?.param != nil || !text.hasPrefix("{"))
    }

    @Test func `chat messages become text, pictures and fields`() throws {
        let body = try json(
            #"""
            {"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":[
            {"type":"image_url","image_url":{"url":"https://h/x.png"}},{"type":"text","text":"What?"},
            {"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]},
            {"role":"assistant","content":null,"tool_calls":[{"id":"1"}]}],"stop":"x","stream":true,
            "stream_options":{"include_usage":true},"max_tokens":5,"max_completion_tokens":6,"logprobs":true,"top_logprobs":3,
            "tools":[{"type":"function"}]}
            """#)
        let request = try ChatRequest(body, defaults: SamplingDefaults())
        guard case .conversation(let conversation) = request.generation.prompt else {
            throw ServingError.failed
        }
        #expect(
            conversation.messages.map(\.role) == ["system", "user", "assistant"]
                && conversation.imageCount == 2)
        #expect(
            conversation.messages[2].parts.isEmpty
                && conversation.messages[2].fields.map(\.0) == ["tool_calls"])
        #expect(conversation.variables.map(\.0) == ["tools"])
        #expect(
            request.generation.images.map(\.source) == [
                .url("https://h/x.png"), .dataURL("data:image/png;base64,AAAA"),
            ])
        #expect(request.streams && request.includesUsage && request.topLogprobCount == 3)
        #expect(request.generation.sampling.maxNewTokens == 6 && request.generation.sampling.temperature == 1)
    }

    @Test(arguments: [
        #""temperature":-1"#, #""top_p":0"#, #""max_tokens":0"#, #""max_tokens":-5"#,
        #""max_completion_tokens":1e30"#, #""n":9"#,
        #""n":0"#, #""best_of":2"#, #""presence_penalty":-2.5"#, #""frequency_penalty":101"#,
        #""repetition_penalty":0"#, #""logit_bias":{"5":101}"#, #""logit_bias":{"a":1}"#,
        #""allowed_token_ids":[-1]"#, #""prompt_logprobs":1"#, #""stop":[[5]]"#,
        #""top_logprobs":3"#, #""logprobs":1"#, #""response_format":{"type":"json_object"}"#,
        #""tool_choice":"required"#
            + "\"", #""tools":{}"#, #""tools":[5]"#, #""chat_template":"x""#,
        #""chat_template_kwargs":{"tokenize":true}"#,
        #""stop":[""]"#, #""stop":5"#, #""stop_token_ids":[-5]"#, #""guided_json":{"a":1}"#,
        #""stream":"yes""#,
        #""stream_options":5"#, #""function_call":{"name":"f"}"#, #""functions":[1]"#, #""model":5"#,
        #""seed":-2"#,
    ])
    func `chat fields that are wrong or not there yet are named`(_ field: String) {
        let name = String(field.split(separator: "\"")[0])
        let found = error { _ = try chat(field) }
        #expect(found?.status == 400)
        #expect(found?.param?.hasPrefix(name) == true, "\(found?.param ?? "none")")
    }

    @Test func `log-probabilities have bounds`() throws {
        #expect(error { _ = try chat(#""logprobs":true,"top_logprobs":21"#) }?.param == "top_logprobs")
        #expect(error { _ = try chat(#""logprobs":true,"top_logprobs":-1"#) }?.param == "top_logprobs")
        #expect(try chat(#""logprobs":true"#).topLogprobCount == 0)
        #expect(try chat("").topLogprobCount == nil)
    }

    @Test(arguments: [
        "[]", "5", #"[5]"#, #"[{}]"#, #"[{"role":"user"}]"#, #"[{"role":5,"content":"x"}]"#,
        #"[{"role":"","content":"x"}]"#,
        #"[{"role":"user","content":5}]"#, #"[{"role":"user","content":[]}]"#,
        #"[{"role":"user","content":[{"type":"x"}]}]"#,
        #"[{"role":"user","content":[{"type":"text"}]}]"#,
        #"[{"role":"user","content":[{"type":"image_url"}]}]"#,
        #"[{"role":"user","content":[{"type":"image_url","image_url":"http://h/"}]}]"#,
        #"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/hosts"}}]}]"#,
        #"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"ftp://h/x"}}]}]"#,
    ])
    func `messages of another shape are refused`(_ messages: String) throws {
        let body = try json(#"{"messages":\#(messages)}"#)
        let found = error { _ = try ChatRequest(body, defaults: SamplingDefaults()) }
        #expect(found?.status == 400 && found?.param?.hasPrefix("messages") == true)
    }
}
