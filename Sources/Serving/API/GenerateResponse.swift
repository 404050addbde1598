import Engine
import JSON
import Scheduling
import Tensors
import Tokenizers

/// The answers of the native API, field by field as LightLLM writes them.
struct GenerateResponse {
    private let generations: [Generation]
    private let returnsDetails: Bool
    private var answers: [Answer]

    private struct Answer {
        var text: [UInt8] = []
        var tokens: [(token: GeneratedToken, text: [UInt8])] = []
        var finish = FinishReason.stop
    }

    /// The answers of `pieces`, as many as `generations`, at least one.
    init(_ generations: [Generation], _ pieces: [[GenerationPiece]], returnsDetails: Bool) {
        self.generations = generations
        self.returnsDetails = returnsDetails
        answers = pieces.map { pieces in
            pieces.reduce(into: Answer()) { answer, piece in
                answer.text += piece.text
                if let token = piece.token { answer.tokens.append((token, piece.text)) }
                if let reason = piece.finish { answer.finish = reason }
            }
        }
    }

    /// The body of `/generate`.
    func json() -> [UInt8] {
        let generation = generations[0]
        return JSONWriter.bytes { json in
            json.object { json in
                json.array("generated_text") { json in
                    for answer in answers { json.string(utf8: answer.text) }
                }
                write("count_output_tokens", to: &json) { $1.int($0.tokens.count) }
                write("finish_reason", to: &json) { $1.string($0.finish.rawValue) }
                json.member("prompt_tokens", generation.promptTokenCount)
                if returnsDetails {
                    write("tokens", to: &json) { Self.write(tokens: $0, generation, to: &$1) }
                }
                write("logprobs", to: &json) { answer, json in
                    json.array { json in
                        for entry in answer.tokens {
                            NativeJSON.writeLogprobs(of: entry.token, generation, to: &json)
                        }
                    }
                }
                NativeJSON.writePrompt(generation, to: &json)
                NativeJSON.writeInputUsage(generation, to: &json)
            }
        }
    }

    /// A member that is a list when there are several answers.
    private func write(
        _ name: String, to json: inout JSONWriter, _ value: (Answer, inout JSONWriter) -> Void,
    ) {
        json.key(name)
        guard answers.count > 1 else { return value(answers[0], &json) }
        json.array { json in
            for answer in answers { value(answer, &json) }
        }
    }

    private static func write(tokens answer: Answer, _ generation: Generation, to json: inout JSONWriter) {
        var sum: Float = 0
        json.array { json in
            for (token, text) in answer.tokens {
                sum += token.sampled.logprob
                json.object { json in
                    json.member("id", token.sampled.id)
                    json.member("logprob", token.sampled.logprob)
                    json.member("cumlogprob", sum)
                    json.member("special", token.isSpecial)
                    json.member("count_output_tokens", token.number)
                    json.member("prompt_cache_len", generation.cachedTokenCount)
                    json.member("mtp_accepted_token_num", 0)
                    json.member("prompt_tokens", generation.promptTokenCount)
                    json.member("text", utf8: text)
                }
            }
        }
    }
}

/// Parts that the two native answers share.
enum NativeJSON {
    /// An event of `/generate_stream`.
    ///
    /// An answer that ends without a token of its own says so with token −1.
    static func event(_ piece: GenerationPiece, tokenCount: Int, _ generation: Generation) -> [UInt8] {
        JSONWriter.bytes { json in
            json.object { json in
                json.object("token") { json in
                    json.member("id", piece.token?.sampled.id ?? -1)
                    json.member("text", utf8: piece.text)
                    json.member("logprob", piece.token?.sampled.logprob ?? 0)
                    json.member("special", piece.token?.isSpecial ?? true)
                    json.member("count_output_tokens", tokenCount)
                    json.member("prompt_tokens", generation.promptTokenCount)
                    json.key("logprobs")
                    if let token = piece.token {
                        writeLogprobs(of: token, generation, to: &json)
                    } else {
                        json.null()
                    }
                }
                json.member("generated_text", nil)
                json.member("finished", piece.finish != nil)
                json.member("finish_reason", piece.finish?.rawValue)
                json.member("details", nil)
                if piece.finish != nil { writePrompt(generation, to: &json) }
                writeInputUsage(generation, to: &json)
            }
        }
    }

    /// `{"<id>":{"logprob","rank","decoded_token"}}`.
    static func writeLogprobs(of token: GeneratedToken, _ generation: Generation, to json: inout JSONWriter) {
        json.object { json in
            let sampled = token.sampled
            write(sampled.id, sampled.logprob, rank: Int(sampled.rank), generation, to: &json)
        }
    }

    private static func write(
        _ id: Int32, _ logprob: Float, rank: Int, _ generation: Generation, to json: inout JSONWriter,
    ) {
        json.object("\(id)") { json in
            // JSON has no infinity.
            json.member("logprob", logprob.isFinite ? logprob : -9_999)
            json.member("rank", rank)
            json.member("decoded_token", generation.text(of: id))
        }
    }

    /// `"prompt_token_ids":[…],"prompt_logprobs":[…]`, if they were asked for: for each token of the prompt what is in
    /// `logprobs` for one of the answer and the likeliest beside it; `null` for the first and for image tokens.
    static func writePrompt(_ generation: Generation, to json: inout JSONWriter) {
        guard let tokens = generation.promptTokens else { return }
        json.array("prompt_token_ids") { json in
            for id in generation.promptTokenIDs { json.int(id) }
        }
        json.array("prompt_logprobs") { json in
            var rest = tokens[...]
            for place in generation.promptTokenIDs.indices {
                guard rest.first?.place == place, let sampled = rest.popFirst()?.sampled, sampled.id >= 0
                else {
                    json.null()
                    continue
                }
                json.object { json in
                    write(sampled.id, sampled.logprob, rank: Int(sampled.rank), generation, to: &json)
                    for (index, candidate) in sampled.top.enumerated() where candidate.id != sampled.id {
                        write(candidate.id, candidate.logprob, rank: index + 1, generation, to: &json)
                    }
                }
            }
        }
    }

    /// `"input_usage":{…}`.
    static func writeInputUsage(_ generation: Generation, to json: inout JSONWriter) {
        json.object("input_usage") { json in
            json.member("input_text_tokens", generation.promptTokenCount - generation.imageTokenCount)
            json.member("input_audio_tokens", 0)
            json.member("input_image_tokens", generation.imageTokenCount)
        }
    }
}

extension Generation {
    /// The text of a token by itself; what is no character becomes U+FFFD.
    func text(of id: Int32) -> String {
        tokenizer.bytes(of: id).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}
