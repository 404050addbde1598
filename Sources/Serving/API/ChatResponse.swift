import JSON
import Scheduling
import Tensors
import Tokenizers

/// What every object of one chat completion carries.
struct ChatResponseHead: Sendable {
    let id: String
    /// In seconds since 1970.
    let created: Int
    let model: String
    /// Nil when no log-probabilities are asked for.
    let topLogprobCount: Int?

    fileprivate func write(object name: String, to json: inout JSONWriter) {
        json.member("id", id)
        json.member("object", name)
        json.member("created", created)
        json.member("model", model)
    }
}

/// The body of a chat completion that is not streamed.
struct ChatResponse {
    private let head: ChatResponseHead
    private let generations: [Generation]
    private let choices: [Choice]

    private struct Choice {
        var text: [UInt8] = []
        var tokens: [GeneratedToken] = []
        var finish = FinishReason.stop
    }

    /// The choices of `pieces`, as many as `generations`, at least one.
    init(_ head: ChatResponseHead, _ generations: [Generation], _ pieces: [[GenerationPiece]]) {
        self.head = head
        self.generations = generations
        choices = pieces.map { pieces in
            pieces.reduce(into: Choice()) { choice, piece in
                choice.text += piece.text
                if let token = piece.token { choice.tokens.append(token) }
                if let reason = piece.finish { choice.finish = reason }
            }
        }
    }

    /// The body.
    func json() -> [UInt8] {
        JSONWriter.bytes { json in
            json.object { json in
                head.write(object: "chat.completion", to: &json)
                json.array("choices") { json in
                    for (index, choice) in choices.enumerated() { write(choice, index, to: &json) }
                }
                json.writeUsage(generations[0], tokenCount: choices.reduce(0) { $0 + $1.tokens.count })
            }
        }
    }

    private func write(_ choice: Choice, _ index: Int, to json: inout JSONWriter) {
        json.object { json in
            json.member("index", index)
            json.object("message") { json in
                json.member("role", "assistant")
                json.member("content", utf8: choice.text)
                json.member("reasoning_content", nil)
                json.member("tool_calls", nil)
            }
            json.key("logprobs")
            json.writeLogprobs(choice.tokens, generations[index], topCount: head.topLogprobCount)
            json.member("finish_reason", choice.finish.rawValue)
        }
    }
}

/// The events of a chat completion that is streamed.
struct ChatChunks {
    let head: ChatResponseHead
    let generation: Generation

    /// The first event of choice `index`: who speaks.
    func opening(_ index: Int) -> [UInt8] {
        chunk(index) { json in
            json.object("delta") { json in
                json.member("role", "assistant")
                json.member("content", "")
            }
            json.member("logprobs", nil)
            json.member("finish_reason", nil)
        }
    }

    /// The events of a piece of choice `index`: its text and log-probabilities, if there are any, and the end, if it is.
    func events(_ piece: GenerationPiece, of index: Int) -> [[UInt8]] {
        var events: [[UInt8]] = []
        let tokens = head.topLogprobCount == nil ? [] : [piece.token].compactMap(\.self)
        if !piece.text.isEmpty || !tokens.isEmpty {
            events.append(
                chunk(index) { json in
                    json.object("delta") { json in
                        json.member("content", utf8: piece.text)
                    }
                    json.key("logprobs")
                    json.writeLogprobs(
                        tokens, generation, topCount: tokens.isEmpty ? nil : head.topLogprobCount)
                    json.member("finish_reason", nil)
                })
        }
        if let finish = piece.finish {
            events.append(
                chunk(index) { json in
                    json.object("delta") { _ in }
                    json.member("logprobs", nil)
                    json.member("finish_reason", finish.rawValue)
                })
        }
        return events
    }

    /// The event of token counts.
    func usage(tokenCount: Int) -> [UInt8] {
        JSONWriter.bytes { json in
            json.object { json in
                head.write(object: "chat.completion.chunk", to: &json)
                json.array("choices", { _ in })
                json.writeUsage(generation, tokenCount: tokenCount)
            }
        }
    }

    private func chunk(_ index: Int, _ choice: (inout JSONWriter) -> Void) -> [UInt8] {
        JSONWriter.bytes { json in
            json.object { json in
                head.write(object: "chat.completion.chunk", to: &json)
                json.array(
                    "choices",
                    { json in
                        json.object { json in
                            json.member("index", index)
                            choice(&json)
                        }
                    })
            }
        }
    }
}

extension JSONWriter {
    /// `{"content":[…]}`, or `null` when nothing is asked for.
    fileprivate mutating func writeLogprobs(
        _ tokens: [GeneratedToken], _ generation: Generation, topCount: Int?
    ) {
        guard let topCount else { return null() }
        object { json in
            json.array(
                "content",
                { json in
                    for token in tokens {
                        json.object { json in
                            let sampled = token.sampled
                            json.writeToken(id: sampled.id, logprob: sampled.logprob, generation)
                            json.array(
                                "top_logprobs",
                                { json in
                                    for candidate in sampled.top.prefix(topCount) {
                                        json.object {
                                            $0.writeToken(
                                                id: candidate.id, logprob: candidate.logprob, generation)
                                        }
                                    }
                                })
                        }
                    }
                })
        }
    }

    private mutating func writeToken(id: Int32, logprob: Float, _ generation: Generation) {
        member("token", generation.text(of: id))
        // JSON has no infinity; OpenAI writes −9999 for a token that cannot be.
        member("logprob", logprob.isFinite ? logprob : -9_999)
        array(
            "bytes",
            { json in
                for byte in generation.tokenizer.bytes(of: id) ?? [] { json.int(byte) }
            })
    }
}
