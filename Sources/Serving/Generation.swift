import Engine
import Scheduling
import Synchronization
import Tensors
import Tokenizers

/// A token of an answer, with what clients may want to know of it.
struct GeneratedToken: Sendable, Hashable {
    /// The choice and its alternatives.
    let sampled: SampledToken
    /// Whether it is one of the tokenizer's special tokens.
    let isSpecial: Bool
    /// Its place in the answer, from one.
    let number: Int
}

/// A step of an answer: a token, text that is now certain, the end, or several of these.
struct GenerationPiece: Sendable, Hashable {
    /// Nil only at the end.
    var token: GeneratedToken?
    /// UTF-8 that ends on a character; may lag behind the tokens.
    var text: [UInt8]
    /// Why the answer ends with this piece, if it does.
    var finish: FinishReason?
}

/// A request that the engine has begun to run.
///
/// Letting go of it cancels the request.
final class Generation: Sendable {
    /// The prompt, image tokens among it.
    let promptTokenIDs: [Int32]
    /// Tokens of the prompt.
    var promptTokenCount: Int { promptTokenIDs.count }
    /// Image tokens of the prompt.
    let imageTokenCount: Int
    /// Tokens of the prompt that were not computed again.
    var cachedTokenCount: Int { start.found.tokenCount }
    /// Where tokens get their text.
    let tokenizer: Tokenizer
    private let start: RequestStart
    private let request: GenerationRequest
    private let tokens: Mutex<TokenStream?>
    private let report = Mutex<[PromptToken]>([])

    init(
        tokens: TokenStream, start: RequestStart, request: GenerationRequest, tokenizer: Tokenizer,
        promptTokenIDs: [Int32], imageTokenCount: Int,
    ) {
        self.tokens = Mutex(tokens)
        self.start = start
        self.request = request
        self.tokenizer = tokenizer
        self.promptTokenIDs = promptTokenIDs
        self.imageTokenCount = imageTokenCount
    }

    /// What was told of the prompt when the last piece is there; nil when that was not asked for.
    var promptTokens: [PromptToken]? {
        request.sampling.promptLogprobCount == nil ? nil : report.withLock(\.self)
    }

    /// Hands every piece to `body`, the last of which has a `finish`.
    ///
    /// To be called once.
    ///
    /// The engine's stream is let go of before the last piece of an answer that a stop string ends.
    func run(_ body: (GenerationPiece) async throws -> Void) async throws {
        guard let stream = tokens.withLock({ $0.take() }) else { return }
        var state = TextState(request: request, tokenizer: tokenizer, tokenLimit: start.maxNewTokens)
        let last = try await Self.pump(stream, through: &state, to: body)
        report.withLock { $0 = state.promptTokens }
        try await body(last)
    }

    /// Passes on all pieces but the last, which it returns.
    private static func pump(
        _ stream: consuming TokenStream, through state: inout TextState,
        to body: (GenerationPiece) async throws -> Void,
    ) async throws -> GenerationPiece {
        var iterator = stream.makeAsyncIterator()
        var held: GenerationPiece?
        while let event = try await iterator.next() {
            switch event {
            case .started: continue
            case .prompt(let tokens): state.promptTokens += tokens
            case .token(let sampled):
                if let piece = held { try await body(piece) }
                let piece = state.append(sampled)
                if piece.finish != nil { return piece }
                // A token that may be the last waits for the end, which then comes at once.
                if state.isAtLimit {
                    held = piece
                } else {
                    held = nil
                    try await body(piece)
                }
            case .finished(let reason):
                var last = held ?? GenerationPiece(token: nil, text: [])
                last.text += state.finish()
                last.finish = reason
                return last
            }
        }
        throw GenerationError.failed
    }
}

/// Turns tokens into text and looks for stop strings.
private struct TextState {
    private var decoder: IncrementalDecoder
    private var matcher: StopMatcher
    private let tokenizer: Tokenizer
    private let tokenLimit: Int
    private var tokenCount = 0
    /// What was told of the prompt.
    var promptTokens: [PromptToken] = []

    init(request: GenerationRequest, tokenizer: Tokenizer, tokenLimit: Int) {
        decoder = IncrementalDecoder(tokenizer, skipSpecialTokens: request.skipsSpecialTokens)
        matcher = StopMatcher(stops: request.stops, treatment: request.stopTreatment)
        self.tokenizer = tokenizer
        self.tokenLimit = tokenLimit
    }

    /// Whether there can be no more tokens.
    var isAtLimit: Bool { tokenCount >= tokenLimit }

    mutating func append(_ sampled: SampledToken) -> GenerationPiece {
        tokenCount += 1
        let token = GeneratedToken(
            sampled: sampled, isSpecial: tokenizer.isSpecial(sampled.id), number: tokenCount)
        let output = matcher.append(decoder.append(sampled.id))
        return GenerationPiece(token: token, text: output.text, finish: output.isComplete ? .stop : nil)
    }

    /// The text that was held back.
    mutating func finish() -> [UInt8] {
        let output = matcher.append(decoder.finish())
        return output.isComplete ? output.text : output.text + matcher.finish()
    }
}
