import JSON
import Scheduling

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

    /// A choice that begins with `echo` and goes on with `pieces`; the log-probabilities begin with those that `prompted`
    /// was told of the prompt, if it is there.
    init(
        _ generation: Generation, echo: String, logprobs: CompletionLogprobs, _ pieces: [GenerationPiece],
        prompt prompted: Generation? = nil,
    ) {
        self.generation = generation
        self.logprobs = logprobs
        text = Array(echo.utf8)
        for piece in pieces { append(piece) }
        if let prompted { self.logprobs.prepend(promptOf: prompted, echo: echo) }
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
