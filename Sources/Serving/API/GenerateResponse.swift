import Engine
import JSON
import Scheduling
import Tensors
import Tokenizers

/// The answers of the native API, field by field as LightLLM writes them.
struct GenerateResponse {
    let generation: Generation
    let returnsDetails: Bool
    private var text: [UInt8] = []
    private var tokens: [(token: GeneratedToken, text: [UInt8])] = []
    private var finish = FinishReason.stop

    init(_ generation: Generation, returnsDetails: Bool) {
        self.generation = generation
        self.returnsDetails = returnsDetails
    }

    /// Adds the next piece of the answer.
    mutating func append(_ piece: GenerationPiece) {
        text += piece.text
        if let token = piece.token { tokens.append((token, piece.text)) }
        if let reason = piece.finish { finish = reason }
    }

    /// How many tokens the answer has.
    var tokenCount: Int { tokens.count }

    /// The body of `/generate`.
    func json() -> [UInt8] {
        JSONWriter.bytes { json in
            json.object { json in
                json.array("generated_text", { $0.string(utf8: text) })
                json.member("count_output_tokens", tokens.count)
                json.member("finish_reason", finish.rawValue)
                json.member("prompt_tokens", generation.promptTokenCount)
                if returnsDetails { json.array("tokens", writeTokens) }
                json.key("logprobs")
                json.array { json in
                    for entry in tokens { NativeJSON.writeLogprobs(of: entry.token, generation, to: &json) }
                }
                NativeJSON.writeInputUsage(generation, to: &json)
            }
        }
    }

    private func writeTokens(_ json: inout JSONWriter) {
        var sum: Float = 0
        for (token, text) in tokens {
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
                writeInputUsage(generation, to: &json)
            }
        }
    }

    /// `{"<id>":{"logprob","rank","decoded_token"}}`.
    static func writeLogprobs(of token: GeneratedToken, _ generation: Generation, to json: inout JSONWriter) {
        json.object { json in
            json.object("\(token.sampled.id)") { json in
                json.member("logprob", token.sampled.logprob)
                json.member("rank", token.sampled.rank)
                json.member("decoded_token", generation.text(of: token.sampled.id))
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
