@testable import Scheduling

/// A device that runs steps in order: memory for keys, values and embeddings, and a model for which every token counts.
///
/// What it stores for a token depends on all that is stored for the tokens before it, and so do its answers. A page that
/// someone else wrote to changes them. What is not finite spreads to all that reads it.
struct SimulatedDevice {
    /// The broken rules that running the steps brought to light.
    private(set) var brokenRules: [String] = []
    /// How many tokens it was given that only it knew.
    private(set) var unknownTokenCount = 0
    private let pageSize: Int
    private let rowsPerImagePage: Int
    /// A number for each slot of each page; none where nothing finite was stored.
    private var stored: [UInt64?]
    /// The same for rows of embeddings.
    private var embeddings: [UInt64?]
    private var lastStep: [SequenceStep] = []
    private var lastChosen: [Int32?] = []

    /// An empty memory for the pages of `limits`.
    init(limits: SchedulerLimits) {
        pageSize = limits.pageSize
        rowsPerImagePage = limits.rowsPerImagePage
        stored = Array(repeating: nil, count: limits.pageCount * limits.pageSize)
        embeddings = Array(repeating: nil, count: limits.imagePageCount * limits.rowsPerImagePage)
    }

    /// Runs a step; answers the chosen tokens.
    ///
    /// Sequences in `broken` come to nothing finite, and so do the embeddings of pictures in `spoilt`.
    mutating func run(_ plan: StepPlan, broken: Set<RequestID>, spoilt: Set<ImageKey>) -> [Int32?] {
        for vision in plan.visions { encode(vision, fails: spoilt.contains(vision.key)) }
        let chosen = plan.sequences.map { run($0, isBroken: broken.contains($0.id)) }
        lastStep = plan.sequences
        lastChosen = chosen
        return chosen
    }

    /// Stores the embeddings of a picture in `pages`, as a tower would have.
    mutating func load(_ key: ImageKey, pages: [PageIndex]) {
        encode(VisionStep(key: key, tiles: 0..<pages.count, pages: pages), fails: false)
    }

    private mutating func encode(_ step: VisionStep, fails: Bool) {
        for (tile, page) in zip(step.tiles, step.pages) {
            for row in 0..<rowsPerImagePage {
                embeddings[Int(page) * rowsPerImagePage + row] =
                    fails ? nil : Self.embedding(step.key, row: tile * rowsPerImagePage + row)
            }
        }
    }

    private mutating func run(_ sequence: SequenceStep, isBroken: Bool) -> Int32? {
        let end = sequence.start + sequence.tokens.count
        guard sequence.pages.count * pageSize >= end else {
            brokenRules.append("tokens beyond the pages")
            return nil
        }
        var history = History()
        for place in 0..<end {
            let slot = Int(sequence.pages[place / pageSize]) * pageSize + place % pageSize
            if place >= sequence.start {
                let input = input(sequence, at: place - sequence.start)
                stored[slot] = isBroken ? nil : history.next(input)
            }
            history.append(stored[slot])
        }
        guard let choice = sequence.choice, let state = history.state else { return nil }
        return Self.token(after: state, choice)
    }

    /// What goes into the model at a place of a step: an embedding's or a token's number.
    private mutating func input(_ sequence: SequenceStep, at index: Int) -> UInt64? {
        let row = Int(sequence.imageRows[index])
        if row >= 0 { return embeddings[row] }
        let token = sequence.tokens[index]
        guard token < 0 else { return UInt64(token) }
        unknownTokenCount += 1
        let place = Int(-1 - token)
        guard lastStep.indices.contains(place), lastStep[place].id == sequence.id,
            lastStep[place].choice != nil
        else {
            brokenRules.append("a token of another sequence, or of none")
            return nil
        }
        return lastChosen[place].map(UInt64.init)
    }

    // MARK: The model

    /// What is stored for the tokens so far, as one number; none when some of it is not finite.
    private struct History {
        private(set) var state: UInt64? = 1

        func next(_ input: UInt64?) -> UInt64? {
            guard let state, let input else { return nil }
            return mix(state, input &+ 7)
        }

        mutating func append(_ stored: UInt64?) { state = next(stored) }
    }

    private static func mix(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let mixed = (left &* 31 &+ right) &* 0x9e37_79b9_7f4a_7c15
        return mixed ^ (mixed >> 29)
    }

    private static func embedding(_ key: ImageKey, row: Int) -> UInt64 {
        mix(key.words[0], UInt64(row) &+ 1_000_000)
    }

    private static func token(after state: UInt64, _ choice: TokenChoice) -> Int32 {
        var mixed = mix(mix(state, choice.seed), UInt64(choice.index))
        for (id, count) in zip(choice.tally.ids, choice.tally.counts) {
            mixed &+= mix(UInt64(id), UInt64(count))
        }
        let token = Int32((mixed >> 33) % 30)
        // An end may be forbidden; the last token is none.
        let isEnd = token == endID || choice.sampling.rules.stopIDs.contains(token)
        return choice.forbidsEnd && isEnd ? 29 : token
    }

    /// The token that ends an answer.
    static let endID: Int32 = 0

    /// The answer to a prompt when the request is alone and nothing fails.
    static func answer(to prompt: PreparedPrompt, _ sampling: SamplingParameters, seed: UInt64) -> [Int32] {
        var history = History()
        var counts: [Int32: Int32] = [:]
        for (place, token) in prompt.tokenIDs.enumerated() {
            let span = prompt.images.first { $0.runs.contains { $0.contains(place) } }
            history.append(
                history.next(
                    span.map { span in
                        embedding(
                            span.key, row: prompt.tokenIDs[span.start..<place].count { $0 == token })
                    } ?? UInt64(token)))
            if span == nil, sampling.penalties.countsPrompt { counts[token, default: 0] += 1 }
        }
        var answer: [Int32] = []
        while answer.count < sampling.maxNewTokens, let state = history.state {
            var counter = TokenCounter()
            for (token, count) in counts where sampling.penalties.needCounts {
                for _ in 0..<count { counter.add(token) }
            }
            let token = token(
                after: state,
                TokenChoice(
                    sampling: sampling, seed: seed, index: answer.count,
                    forbidsEnd: answer.count < sampling.minNewTokens, tally: counter.tally))
            if (token == endID && !sampling.ignoresEnd) || sampling.rules.stopIDs.contains(token) { break }
            answer.append(token)
            counts[token, default: 0] += 1
            history.append(history.next(UInt64(token)))
            let isStopped = sampling.rules.stopSequences.contains { answer.suffix($0.count) == $0[...] }
            if isStopped, answer.count >= sampling.minNewTokens { break }
        }
        return answer
    }
}
