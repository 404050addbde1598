package import Images
package import Scheduling
package import Tensors

/// What happens to a request, in order: `started`, the report on its prompt if one is wanted, tokens, `finished`; or an
/// error at any point.
package enum TokenEvent: Sendable, Hashable {
    /// Its pictures are read and it is about to run: from here on only a failure of the server ends it with an error.
    case started(RequestStart)
    /// The next text tokens of the prompt with their log-probabilities; all but the first come, in order.
    case prompt([PromptToken])
    /// The next token of the answer.
    case token(SampledToken)
    /// The answer is complete.
    case finished(FinishReason)
}

/// A token of the prompt.
package struct PromptToken: Sendable, Hashable {
    /// Its place in the prompt, from zero.
    package let place: Int
    /// The token after those before it; its id is −1 when the logits were not finite.
    package let sampled: SampledToken

    /// Takes both.
    package init(place: Int, sampled: SampledToken) {
        self.place = place
        self.sampled = sampled
    }
}

/// What is known when a request begins to run.
package struct RequestStart: Sendable, Hashable {
    /// What it found in the caches.
    package let found: CacheFindings
    /// The most tokens the answer may have, after cutting to what fits.
    package let maxNewTokens: Int

    /// Takes both.
    package init(found: CacheFindings, maxNewTokens: Int) {
        self.found = found
        self.maxNewTokens = maxNewTokens
    }
}

/// Why a request ended without an answer.
package enum GenerationError: Error, Hashable, Sendable {
    /// Picture `index` (from zero, in the order of the prompt) could not be used.
    case image(index: Int, ImageError)
    /// It was cancelled, by its client or by a shutdown.
    case cancelled
    /// The server failed (a NaN in its logits, memory exhausted).
    case failed
}

/// The events of one request.
///
/// Letting go of the iterator or cancelling its task cancels the request.
package struct TokenStream: AsyncSequence, Sendable {
    package typealias Element = TokenEvent
    package typealias AsyncIterator = AsyncThrowingStream<TokenEvent, any Error>.AsyncIterator

    private let events: AsyncThrowingStream<TokenEvent, any Error>

    init(_ events: AsyncThrowingStream<TokenEvent, any Error>) { self.events = events }

    /// Throws `GenerationError` only.
    package func makeAsyncIterator() -> AsyncIterator { events.makeAsyncIterator() }
}
