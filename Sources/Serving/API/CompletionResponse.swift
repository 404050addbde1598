import JSON
import Scheduling
import Tensors
import Tokenizers

/// What every object of one completion carries.
struct CompletionHead: Sendable {
    let id: String
    /// In seconds since 1970.
    let created: Int
    let model: String

    /// An object with the fields of all of them, and what `body` writes.
    fileprivate func object(_ body: (inout JSONWriter) -> Void) -> [UInt8] {
        JSONWriter.bytes { json in
            json.object { json in
                json.member("id", id)
                json.member("object", "text_completion")
                json.member("created", created)
                json.member("model", model)
                body(&json)
            }
        }
    }
}

/// One of the texts of a completion that is not streamed.
struct CompletionChoice: Sendable {
    let generation: Generation
    private var text: [UInt8]
    private var logprobs: CompletionLogprobs
    private var finish = FinishReason.stop
    private(set) var tokenCount = 0

    /// A choice that begins with `echo` and goes on with `pieces`.
    init(
        _ generation: Generation, echo: String, logprobs: CompletionLogprobs, _ pieces: [GenerationPiece],
    ) {
        self.generation = generation
        self.logprobs = logprobs
        text = Array(echo.utf8)
        for piece in pieces { append(piece) }
    }

    private mutating func append(_ piece: GenerationPiece) {
        text += piece.text
        if let token = piece.token {
            tokenCount = token.number
            logprobs.append(token)
        }
        if let reason = piece.finish { finish = reason }
    }

    /// The body of a completion of these choices, some for each prompt.
    static func json(_ choices: [[CompletionChoice]], _ head: CompletionHead) -> [UInt8] {
        head.object { json in
            json.array("choices") { json in
                for (index, choice) in choices.joined().enumerated() {
                    json.write(
                        choice: index, choice.text, choice.logprobs, choice.generation, finish: choice.finish)
                }
            }
            var usage = Usage()
            for group in choices {
                guard let first = group.first else { continue }
                usage.add(first.generation, tokenCount: group.reduce(0) { $0 + $1.tokenCount })
            }
            json.write(usage)
        }
    }
}

/// The events of a completion that is streamed.
struct CompletionChunks: Sendable {
    let head: CompletionHead
    let generation: Generation
    /// One for each choice.
    private var logprobs: [CompletionLogprobs]

    /// The events of as many choices as `logprobs`.
    init(_ head: CompletionHead, _ generation: Generation, logprobs: [CompletionLogprobs]) {
        self.head = head
        self.generation = generation
        self.logprobs = logprobs
    }

    /// An event for each choice with text that is no answer: the prompt.
    func echo(_ text: String) -> [[UInt8]] {
        logprobs.indices.map { chunk($0, Array(text.utf8), finish: nil) }
    }

    /// The event of a piece of choice `index`; nil when it has nothing to say.
    mutating func event(_ piece: GenerationPiece, of index: Int) -> [UInt8]? {
        logprobs[index].removeAll()
        if let token = piece.token { logprobs[index].append(token) }
        guard !piece.text.isEmpty || !logprobs[index].isEmpty || piece.finish != nil else { return nil }
        return chunk(index, piece.text, finish: piece.finish)
    }

    /// The event of token counts.
    func usage(tokenCount: Int) -> [UInt8] {
        head.object { json in
            json.array("choices") { _ in }
            json.writeUsage(generation, tokenCount: tokenCount)
        }
    }

    private func chunk(_ index: Int, _ text: [UInt8], finish: FinishReason?) -> [UInt8] {
        head.object { json in
            json.array("choices") {
                $0.write(choice: index, text, logprobs[index], generation, finish: finish)
            }
        }
    }
}

/// Tokens with their log-probabilities and their places in the text.
struct CompletionLogprobs: Sendable {
    private let topCount: Int?
    private var decoder: IncrementalDecoder
    /// In characters, as Python counts them.
    private var offset: Int
    private var entries: [(token: GeneratedToken, offset: Int)] = []

    /// Keeps nothing when `topCount` is nil; `offset` is where the answer begins.
    init(topCount: Int?, _ request: GenerationRequest, _ generation: Generation, offset: Int) {
        self.topCount = topCount
        self.offset = offset
        decoder = IncrementalDecoder(
            generation.tokenizer, skipSpecialTokens: request.skipsSpecialTokens)
    }

    /// Whether there is no token.
    var isEmpty: Bool { entries.isEmpty }

    /// Adds the next token.
    mutating func append(_ token: GeneratedToken) {
        guard topCount != nil else { return }
        entries.append((token, offset))
        // Characters begin with any byte but 10xxxxxx.
        offset += decoder.append(token.sampled.id).count { $0 & 0xc0 != 0x80 }
    }

    /// Forgets the tokens, not the place.
    mutating func removeAll() { entries.removeAll(keepingCapacity: true) }

    /// `{"tokens","token_logprobs","top_logprobs","text_offset"}`, or `null` when nothing is asked for.
    fileprivate func write(_ generation: Generation, to json: inout JSONWriter) {
        guard let topCount, !isEmpty else { return json.null() }
        json.object { json in
            json.array("tokens") { json in
                for entry in entries { json.string(generation.text(of: entry.token.sampled.id)) }
            }
            json.array("token_logprobs") { json in
                for entry in entries { json.number(Self.finite(entry.token.sampled.logprob)) }
            }
            json.array("top_logprobs") { json in
                for entry in entries { Self.write(top: topCount, of: entry.token, generation, to: &json) }
            }
            json.array("text_offset") { json in
                for entry in entries { json.int(entry.offset) }
            }
        }
    }

    /// The likeliest tokens and the chosen one, by their texts; of equal texts the likeliest.
    private static func write(
        top count: Int, of token: GeneratedToken, _ generation: Generation, to json: inout JSONWriter,
    ) {
        let sampled = token.sampled
        var names: Set<String> = []
        json.object { json in
            let likeliest = sampled.top.prefix(count).map { ($0.id, $0.logprob) }
            for (id, logprob) in likeliest + [(sampled.id, sampled.logprob)] {
                let name = generation.text(of: id)
                if names.insert(name).inserted { json.member(name, finite(logprob)) }
            }
        }
    }

    /// JSON has no infinity; OpenAI writes −9999 for a token that cannot be.
    private static func finite(_ logprob: Float) -> Float { logprob.isFinite ? logprob : -9_999 }
}

extension JSONWriter {
    fileprivate mutating func write(
        choice index: Int, _ text: [UInt8], _ logprobs: CompletionLogprobs, _ generation: Generation,
        finish: FinishReason?,
    ) {
        object { json in
            json.member("index", index)
            json.member("text", utf8: text)
            json.key("logprobs")
            logprobs.write(generation, to: &json)
            json.member("finish_reason", finish?.rawValue)
        }
    }
}
