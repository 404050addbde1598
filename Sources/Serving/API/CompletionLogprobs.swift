import Engine
import JSON
import Tensors
import Tokenizers

/// Tokens with their log-probabilities and their places in the text.
struct CompletionLogprobs: Sendable {
    private struct Entry {
        let id: Int32
        /// Nil where nothing is known: of a prompt's first token.
        let sampled: SampledToken?
        /// In characters, as Python counts them.
        let offset: Int
    }

    private let topCount: Int?
    private var places: TokenPlaces
    private var entries: [Entry] = []

    /// Keeps nothing when `topCount` is nil; `offset` is where the answer begins.
    init(topCount: Int?, _ request: GenerationRequest, _ generation: Generation, offset: Int) {
        self.topCount = topCount
        places = TokenPlaces(
            generation.tokenizer, skipSpecialTokens: request.skipsSpecialTokens, offset: offset)
    }

    /// Whether there is no token.
    var isEmpty: Bool { entries.isEmpty }

    /// Adds the next token.
    mutating func append(_ token: GeneratedToken) {
        guard topCount != nil else { return }
        let id = token.sampled.id
        entries.append(Entry(id: id, sampled: token.sampled, offset: places.next(id)))
    }

    /// Puts the tokens of the prompt in front, which `echo` is the text of; `prompted` is a generation that was told
    /// of them.
    mutating func prepend(promptOf prompted: Generation, echo: String) {
        let ids = prompted.promptTokenIDs
        let tokenizer = prompted.tokenizer
        // Tokens that were added in front of the text have no place in it.
        let whole = tokenizer.decode(ids, skipSpecialTokens: false).unicodeScalars.count
        let added = max(0, whole - echo.unicodeScalars.count)
        var places = TokenPlaces(tokenizer, skipSpecialTokens: false, offset: 0)
        var known: [Int: SampledToken] = [:]
        for token in prompted.promptTokens ?? [] where token.sampled.id >= 0 {
            known[token.place] = token.sampled
        }
        let prompt = ids.enumerated().map { place, id in
            Entry(id: id, sampled: known[place], offset: max(0, places.next(id) - added))
        }
        entries = prompt + entries
    }

    /// Forgets the tokens, not the place.
    mutating func removeAll() { entries.removeAll(keepingCapacity: true) }

    /// `{"tokens","token_logprobs","top_logprobs","text_offset"}`, or `null` when nothing is asked for.
    func write(_ generation: Generation, to json: inout JSONWriter) {
        guard let topCount, !isEmpty else { return json.null() }
        json.object { json in
            json.array("tokens") { json in
                for entry in entries { json.string(generation.text(of: entry.id)) }
            }
            json.array("token_logprobs") { json in
                for entry in entries {
                    if let sampled = entry.sampled {
                        json.number(Self.finite(sampled.logprob))
                    } else {
                        json.null()
                    }
                }
            }
            json.array("top_logprobs") { json in
                for entry in entries {
                    guard let sampled = entry.sampled else {
                        json.null()
                        continue
                    }
                    Self.write(top: topCount, of: sampled, generation, to: &json)
                }
            }
            json.array("text_offset") { json in
                for entry in entries { json.int(entry.offset) }
            }
        }
    }

    /// The likeliest tokens and the chosen one, by their texts; of equal texts the likeliest.
    private static func write(
        top count: Int, of sampled: SampledToken, _ generation: Generation, to json: inout JSONWriter,
    ) {
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

/// Where the tokens of a text begin, in characters as Python counts them.
private struct TokenPlaces: Sendable {
    private let tokenizer: Tokenizer
    private var decoder: IncrementalDecoder
    private var offset: Int

    init(_ tokenizer: Tokenizer, skipSpecialTokens: Bool, offset: Int) {
        self.tokenizer = tokenizer
        self.offset = offset
        decoder = IncrementalDecoder(tokenizer, skipSpecialTokens: skipSpecialTokens)
    }

    /// The place of the next token.
    mutating func next(_ id: Int32) -> Int {
        let start = offset
        // Characters begin with any byte but 10xxxxxx.
        offset += decoder.append(id).count { $0 & 0xc0 != 0x80 }
        // What came out may begin with what earlier tokens left unfinished.
        let own = tokenizer.decode([id], skipSpecialTokens: false).unicodeScalars.count
        return max(start, offset - own)
    }
}
