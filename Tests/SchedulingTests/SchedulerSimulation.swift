import TestRandom

@testable import Scheduling

/// A seeded world round a scheduler: requests arrive, leave and come back, pictures are prepared late or not
/// at all, logits fail.
///
/// After every step the rules must hold.
struct SchedulerSimulation {
    /// How one request has ended.
    enum End: Hashable {
        case finished(FinishReason)
        case cancelled
        case failed
    }

    var scheduler: Scheduler
    private(set) var tokens: [RequestID: [Int32]] = [:]
    private(set) var ends: [RequestID: End] = [:]
    private(set) var log: [String] = []
    private(set) var brokenRules: [String] = []
    /// The places of each prompt that were reported on.
    private var scored: [RequestID: [Int]] = [:]
    private var random: SeededRandom
    private var nextID: UInt64 = 0
    private var preparing: [ImageKey] = []
    private var started: Set<RequestID> = []
    /// What the cache holds in each slot: a token and all before it, as one number.
    private var stored: [Int32: Int] = [:]
    /// What each live request was asked to do, to replay it alone.
    private(set) var asked: [RequestID: (PreparedPrompt, SamplingParameters)] = [:]

    static let endID: Int32 = 0

    init(seed: UInt64, limits: SchedulerLimits) {
        random = SeededRandom(seed: seed)
        scheduler = Scheduler(limits: limits, endIDs: [Self.endID])
    }

    /// One event and one step.
    mutating func advance(arrivals: Bool) {
        if arrivals, random.below(3) == 0 { submit() }
        if arrivals, random.below(20) == 0, let id = asked.keys.sorted().first(where: { ends[$0] == nil }) {
            if scheduler.cancel(id) { end(id, .cancelled) }
        }
        if !preparing.isEmpty, !arrivals || random.below(2) == 0 {
            let key = preparing.remove(at: random.below(preparing.count))
            let succeeded = random.below(10) != 0
            for failure in scheduler.finishPreparing(key, succeeded: succeeded) {
                end(failure.request, .failed)
            }
        }
        step()
    }

    /// Whether nothing is left to do.
    var isDone: Bool { scheduler.isIdle && preparing.isEmpty }

    private mutating func submit() {
        nextID += 1
        let id = RequestID(nextID)
        let prompt = makePrompt()
        let most = max(1, min(1 + random.below(20), scheduler.limits.sequenceLength - prompt.tokenIDs.count))
        let promptLogprobCount = random.below(4) == 0 ? 1 : nil
        guard
            let sampling = try? SamplingParameters(maxNewTokens: most, promptLogprobCount: promptLogprobCount)
        else { return }
        asked[id] = (prompt, sampling)
        scheduler.submit(id, prompt: prompt, sampling: sampling, seed: nextID)
        guard random.below(4) == 0 else { return }
        for _ in 0...random.below(3) {
            nextID += 1
            asked[RequestID(nextID)] = (prompt, sampling.withoutPromptLogprobs())
            scheduler.submit(
                RequestID(nextID), prompt: prompt, sampling: sampling.withoutPromptLogprobs(), seed: nextID,
                after: id)
        }
    }

    /// The places of a request's prompt that are to be reported on.
    private func scoredPlaces(_ id: RequestID) -> [Int] {
        guard let (prompt, sampling) = asked[id], sampling.promptLogprobCount != nil else { return [] }
        return (1..<max(1, prompt.tokenIDs.count)).filter { prompt.tokenIDs[$0] != 99 }
    }

    private mutating func makePrompt() -> PreparedPrompt {
        var ids: [Int32] = []
        var spans: [ImageSpan] = []
        for _ in 0..<random.below(3) {
            ids += (0..<random.below(4)).map { _ in Int32(1 + random.below(50)) }
            // A picture's size follows from what it is.
            let picture = random.below(6)
            let tiles = 1 + picture % 3
            let key = ImageKey(digest: Array(repeating: UInt8(picture), count: 32))
            let count = tiles * scheduler.limits.rowsPerImagePage
            spans.append(ImageSpan(key: key, start: ids.count, tokenCount: count))
            ids += Array(repeating: 99, count: count)
        }
        ids += (0...random.below(12)).map { _ in Int32(1 + random.below(50)) }
        return PreparedPrompt(tokenIDs: ids, images: spans)
    }

    private mutating func step() {
        let plan = scheduler.plan()
        check(plan)
        for start in plan.started { started.insert(start.id) }
        preparing += plan.preparations.map(\.key)
        let fails = random.below(40) == 0
        let chosen = plan.sequences.map { sequence -> Int32? in
            guard sequence.choice != nil, !fails else { return nil }
            return Self.nextToken(sequence)
        }
        log.append(
            "\(plan.sequences.map { "\($0.id.value):\($0.start)+\($0.tokens.count)" }) \(plan.vision.map { "\($0.tiles)" } ?? "-")"
        )
        for delivery in scheduler.commit(plan, chosen: chosen) {
            if let place = plan.sequences.firstIndex(where: { $0.id == delivery.id }), delivery.hasToken,
                let token = chosen[place]
            {
                tokens[delivery.id, default: []].append(token)
            }
            if delivery.isFailed { end(delivery.id, .failed) }
            if let finish = delivery.finish { end(delivery.id, .finished(finish)) }
            if delivery.finish != nil, scored[delivery.id, default: []] != scoredPlaces(delivery.id) {
                brokenRules.append("a prompt not reported on once, in order")
            }
        }
        brokenRules += scheduler.violations()
    }

    private mutating func check(_ plan: StepPlan) {
        let limits = scheduler.limits
        if plan.sequences.reduce(0, { $0 + $1.tokens.count }) > limits.tokensPerStep {
            brokenRules.append("a step over its budget")
        }
        let scores = plan.sequences.reduce(0) { $0 + ($1.scoring?.places.count ?? 0) }
        if scores > limits.scoresPerStep { brokenRules.append("more reports than may be") }
        if Set(plan.sequences.map(\.id)).count != plan.sequences.count {
            brokenRules.append("a request twice in a step")
        }
        for sequence in plan.sequences {
            if sequence.tokens.isEmpty { brokenRules.append("no tokens") }
            for place in sequence.scoring?.places ?? [] {
                if !sequence.tokens.indices.contains(place - 1 - sequence.start) {
                    brokenRules.append("a report without logits")
                }
                scored[sequence.id, default: []].append(place)
            }
            if !started.union(plan.started.map(\.id)).contains(sequence.id), sequence.choice != nil {
                brokenRules.append("a token before the start")
            }
            for (token, row) in zip(sequence.tokens, sequence.imageRows) where (token == 99) != (row >= 0) {
                brokenRules.append("an image token without its row")
            }
            store(sequence)
        }
    }

    /// Checks that all earlier tokens of a sequence are in its pages, and stores the new ones.
    private mutating func store(_ sequence: SequenceStep) {
        let size = scheduler.limits.pageSize
        let end = sequence.start + sequence.tokens.count
        guard sequence.pages.count * size >= end else {
            brokenRules.append("tokens beyond the pages")
            return
        }
        guard let request = scheduler.running.first(where: { $0.id == sequence.id }) else { return }
        var history = 0
        for position in 0..<end {
            history = [history, request.keys[position].hashValue].hashValue
            let slot = sequence.pages[position / size] * Int32(size) + Int32(position % size)
            if position >= sequence.start {
                stored[slot] = history
            } else if stored[slot] != history {
                brokenRules.append("a token is not where it is looked for")
            }
        }
    }

    private mutating func end(_ id: RequestID, _ end: End) {
        if ends.updateValue(end, forKey: id) != nil { brokenRules.append("request \(id.value) ended twice") }
    }

    /// What the fake model answers: decided by the request and the place alone.
    private static func nextToken(_ sequence: SequenceStep) -> Int32 {
        guard let choice = sequence.choice else { return 1 }
        let mixed = (choice.seed &* 31 &+ UInt64(choice.index)) &* 0x9e37_79b9_7f4a_7c15
        return Int32((mixed >> 33) % 30)
    }

    /// The answer of request `id` of `most` tokens when it runs to its end.
    static func expectedAnswer(seed: UInt64, most: Int) -> [Int32] {
        var answer: [Int32] = []
        for index in 0..<most {
            let mixed = (seed &* 31 &+ UInt64(index)) &* 0x9e37_79b9_7f4a_7c15
            let token = Int32((mixed >> 33) % 30)
            if token == endID { break }
            answer.append(token)
        }
        return answer
    }
}
