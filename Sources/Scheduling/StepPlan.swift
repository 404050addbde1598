/// What is to be done next; the engine does all of it, in order, and tells the scheduler what came of it.
package struct StepPlan: Sendable {
    /// Requests whose pictures are read and which begin to run.
    package var started: [StartedRequest] = []
    /// Pictures whose tiles are to be made, beside the step.
    package var preparations: [ImagePreparation] = []
    /// Pictures whose tiles are not needed any more.
    package var discarded: [ImageKey] = []
    /// Tiles that go through the vision tower in this step, by picture.
    package var visions: [VisionStep] = []
    /// Tokens that go through the text tower in this step.
    package var sequences: [SequenceStep] = []

    /// Whether there is nothing to run.
    package var isEmpty: Bool { visions.isEmpty && sequences.isEmpty }
}

/// A request that begins to run.
package struct StartedRequest: Sendable, Hashable {
    package let id: RequestID
    /// What it found in the caches.
    package let found: CacheFindings
}

/// A picture to make tiles of, unless its embeddings are found elsewhere.
package struct ImagePreparation: Sendable, Hashable {
    package let key: ImageKey
    /// A request that has the picture, at `index` in the order of its prompt.
    package let request: RequestID
    package let index: Int
}

/// Tiles of one picture, or all of it.
package struct VisionStep: Sendable, Hashable {
    package let key: ImageKey
    /// Which of its tiles, each with the embeddings of a page; all of them where pictures are encoded as a whole.
    package let tiles: Range<Int>
    /// The pages for the embeddings of those tiles.
    package let pages: [PageIndex]
}

/// Tokens of one sequence.
package struct SequenceStep: Sendable, Hashable {
    package let id: RequestID
    /// The tokens to run; −1 − i is the token, not known yet, that sequence i of the step before this one chooses.
    package let tokens: [Int32]
    /// Place of the first one in the sequence: as many are stored already.
    package let start: Int
    /// Where each token stands in time, height and width; nil where all of these are its place in the sequence.
    package let places: [PlanePositions.Place]?
    /// For each token the row of the embedding store that stands for it, or −1.
    package let imageRows: [Int32]
    /// Pages of the sequence, enough for the tokens of this step too.
    package let pages: [PageIndex]
    /// How to choose the token that follows; nil while the prompt goes on.
    package let choice: TokenChoice?
    /// Tokens of the prompt that are to be reported on; nil for none.
    package let scoring: PromptScoring?
}

extension SequenceStep {
    /// A step of no request, to rehearse with: `tokenCount` tokens of the id zero in `pages`, and a greedy choice.
    package static func rehearsal(_ index: Int, tokenCount: Int, pages: [PageIndex]) -> SequenceStep? {
        SequenceStep(
            id: RequestID(UInt64(index)), tokens: [Int32](repeating: 0, count: tokenCount), start: 0,
            places: nil, imageRows: [Int32](repeating: -1, count: tokenCount), pages: pages,
            choosesToken: true, scoring: nil)
    }

    /// A step for those who only have to know whether a token is chosen, which is then a greedy one.
    package init?(
        id: RequestID, tokens: [Int32], start: Int, places: [PlanePositions.Place]?, imageRows: [Int32],
        pages: [PageIndex], choosesToken: Bool, scoring: PromptScoring?,
    ) {
        guard let sampling = try? SamplingParameters(maxNewTokens: 1) else { return nil }
        self.init(
            id: id, tokens: tokens, start: start, places: places, imageRows: imageRows, pages: pages,
            choice: choosesToken
                ? TokenChoice(sampling: sampling, seed: 0, index: 0, forbidsEnd: false, tally: TokenTally())
                : nil,
            scoring: scoring)
    }
}

/// Tokens of a prompt whose probability is to be told.
///
/// The logits of each are those of the token before it, which is among the step's.
package struct PromptScoring: Sendable, Hashable {
    /// Their places in the sequence, rising.
    package let places: [Int]
    /// The tokens at these places.
    package let ids: [Int32]
    /// How many of the likeliest are told beside each.
    package let topCount: Int

    /// Takes all three, as many places as ids.
    package init(places: [Int], ids: [Int32], topCount: Int) {
        self.places = places
        self.ids = ids
        self.topCount = topCount
    }
}

/// How to choose a token.
package struct TokenChoice: Sendable, Hashable {
    package let sampling: SamplingParameters
    /// Decides the draw together with `index`.
    package let seed: UInt64
    /// Which token of the answer it is, from zero.
    package let index: Int
    /// Whether end tokens may not be chosen yet.
    package let forbidsEnd: Bool
    /// The tokens that the penalties are for.
    package let tally: TokenTally
}

/// What a step came to for one request.
package struct Delivery: Sendable, Hashable {
    package let id: RequestID
    /// Whether the chosen token belongs to the answer.
    package let hasToken: Bool
    /// Set when the answer is complete.
    package let finish: FinishReason?
    /// Whether no token could be chosen: the logits were not finite.
    package let isFailed: Bool
}
