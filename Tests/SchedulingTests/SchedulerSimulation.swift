import TestRandom

@testable import Scheduling

/// A seeded world round a scheduler and a device: requests arrive, leave and come back, pictures are prepared late or not
/// at all, logits and embeddings fail; steps are committed at once, or now and then planned ahead.
///
/// After every event the rules must hold.
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
    private(set) var device: SimulatedDevice
    /// How many sequences of requests that had ended were committed.
    private(set) var voidCount = 0
    /// The places of each prompt that were reported on.
    private var scored: [RequestID: [Int]] = [:]
    private let plansAhead: Bool
    /// The steps that were given to the device and not committed.
    private var flights: [Flight] = []
    /// The requests some of whose own steps came to nothing finite.
    private var brokenIDs: Set<RequestID> = []
    /// The pictures whose tiles are there.
    private var tiles: Set<ImageKey> = []
    private var random: SeededRandom
    private var nextID: UInt64 = 0
    private var preparing: [ImageKey] = []
    private var started: Set<RequestID> = []
    /// What each live request was asked to do, to replay it alone.
    private(set) var asked: [RequestID: (PreparedPrompt, SamplingParameters)] = [:]

    /// A step under way and what came of it.
    private struct Flight {
        let plan: StepPlan
        let chosen: [Int32?]
        let spoilt: Set<ImageKey>
    }

    init(seed: UInt64, limits: SchedulerLimits, plansAhead: Bool) {
        random = SeededRandom(seed: seed)
        scheduler = Scheduler(limits: limits, endIDs: [SimulatedDevice.endID])
        device = SimulatedDevice(limits: limits)
        self.plansAhead = plansAhead
    }

    /// A few events and one step.
    mutating func advance(arrivals: Bool) {
        if arrivals, random.below(3) == 0 { submit() }
        if arrivals, random.below(20) == 0 {
            let open = asked.keys.filter { ends[$0] == nil }.sorted()
            if !open.isEmpty, case let id = open[random.below(open.count)], scheduler.cancel(id) {
                end(id, .cancelled)
            }
        }
        if !preparing.isEmpty, !arrivals || random.below(2) == 0 {
            let key = preparing.remove(at: random.below(preparing.count))
            let succeeded = random.below(10) != 0
            let isFoundElsewhere = succeeded && random.below(4) == 0
            if isFoundElsewhere, let pages = scheduler.images[key]?.pages {
                device.load(key, pages: pages)
                scheduler.finishLoading(key)
            }
            if succeeded, !isFoundElsewhere { tiles.insert(key) }
            for failure in isFoundElsewhere
                ? [] : scheduler.finishPreparing(key, succeeded: succeeded)
            {
                end(failure.request, .failed)
            }
        }
        step()
    }

    /// Whether nothing is left to do.
    var isDone: Bool { scheduler.isIdle && preparing.isEmpty && flights.isEmpty }

    private mutating func submit() {
        nextID += 1
        let id = RequestID(nextID)
        let prompt = makePrompt()
        let most = max(1, min(1 + random.below(20), scheduler.limits.sequenceLength - prompt.tokenIDs.count))
        guard let sampling = makeSampling(most: most) else { return }
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

    private mutating func makeSampling(most: Int) -> SamplingParameters? {
        var penalties = SamplingPenalties()
        if random.below(4) == 0 { penalties.presence = 1 }
        penalties.countsPrompt = penalties.needCounts && random.below(2) == 0
        let stops = random.below(3) == 0
        let rules = try? TokenRules(
            stopIDs: stops ? [3] : [], stopSequences: stops ? [[4], [5 + random.below(20), 6]] : [])
        return try? SamplingParameters(
            maxNewTokens: most, minNewTokens: random.below(min(5, most + 1)),
            ignoresEnd: random.below(4) == 0,
            penalties: penalties, rules: rules ?? TokenRules(),
            promptLogprobCount: random.below(4) == 0 ? 1 : nil)
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
            guard picture >= 3 else {
                spans.append(ImageSpan(key: key, start: ids.count, tokenCount: count))
                ids += Array(repeating: 99, count: count)
                continue
            }
            // Others have text between their tiles.
            var runs: [Range<Int>] = []
            for tile in 0..<tiles {
                ids += Array(repeating: Int32(60 + tile), count: tile)
                runs.append(ids.count..<(ids.count + scheduler.limits.rowsPerImagePage))
                ids += Array(repeating: 99, count: scheduler.limits.rowsPerImagePage)
            }
            spans.append(ImageSpan(key: key, runs: runs))
        }
        // Some begin alike.
        ids += random.below(3) == 0 ? [7, 7, 7, 7, 7, 7, 7, 7] : []
        ids += (0...random.below(12)).map { _ in Int32(1 + random.below(50)) }
        var prompt = PreparedPrompt(tokenIDs: ids, images: spans)
        prompt.usesPrefixCache = random.below(8) != 0
        return prompt
    }

    /// Plans a step or commits one; both at once when it does not plan ahead.
    private mutating func step() {
        let commitsFirst = flights.count == 2 || (!flights.isEmpty && random.below(3) == 0)
        if commitsFirst || !plan() || !plansAhead { commit() }
        brokenRules += scheduler.violations()
    }

    /// Hands the next step to the device; answers false when there is none.
    private mutating func plan() -> Bool {
        let plan = scheduler.plan()
        check(plan)
        started.formUnion(plan.started.map(\.id))
        preparing += plan.preparations.map(\.key)
        tiles.subtract(plan.discarded)
        guard !plan.isEmpty else { return false }
        for vision in plan.visions {
            if !tiles.contains(vision.key) { brokenRules.append("tiles are encoded that are not there") }
            if scheduler.images[vision.key]?.state == .ready { tiles.remove(vision.key) }
        }
        let broken = Set(plan.sequences.map(\.id).filter { _ in random.below(200) == 0 })
        brokenIDs.formUnion(broken)
        let spoilt = Set(plan.visions.map(\.key).filter { _ in random.below(40) == 0 })
        let chosen = device.run(plan, broken: broken, spoilt: spoilt)
        flights.append(Flight(plan: plan, chosen: chosen, spoilt: spoilt))
        log.append(
            "\(plan.sequences.map { "\($0.id.value):\($0.start)+\($0.tokens.count)" }) \(plan.visions.map { "\($0.tiles)" })"
        )
        return true
    }

    /// Tells the scheduler what came of the earliest step under way.
    private mutating func commit() {
        guard !flights.isEmpty else { return }
        let flight = flights.removeFirst()
        let plan = flight.plan
        voidCount += plan.sequences.count { ends[$0.id] != nil }
        for delivery in scheduler.commit(plan, chosen: flight.chosen) {
            if let place = plan.sequences.firstIndex(where: { $0.id == delivery.id }), delivery.hasToken,
                let token = flight.chosen[place]
            {
                tokens[delivery.id, default: []].append(token)
            }
            if delivery.isFailed {
                end(delivery.id, .failed)
                if !brokenIDs.contains(delivery.id) {
                    brokenRules.append("a request failed by another's fault")
                }
            }
            if let finish = delivery.finish { end(delivery.id, .finished(finish)) }
            if delivery.finish != nil, scored[delivery.id, default: []] != scoredPlaces(delivery.id) {
                brokenRules.append("a prompt not reported on once, in order")
            }
        }
        for key in plan.visions.map(\.key) where flight.spoilt.contains(key) {
            tiles.remove(key)
            for failure in scheduler.fail(key) { end(failure.request, .failed) }
        }
    }

    private mutating func check(_ plan: StepPlan) {
        let limits = scheduler.limits
        let isLargeAlone = limits.encodesWholePictures && plan.visions.count == 1
        if plan.visions.reduce(0, { $0 + $1.tiles.count }) > limits.tilesPerStep, !isLargeAlone {
            brokenRules.append("more tiles than a step may have")
        }
        if limits.encodesWholePictures,
            plan.visions.contains(where: { $0.tiles != 0..<(scheduler.images[$0.key]?.pages.count ?? 0) })
        {
            brokenRules.append("a part of a picture that is encoded as a whole")
        }
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
            if let (prompt, sampling) = asked[sequence.id],
                sequence.start + sequence.tokens.count >= prompt.tokenIDs.count + sampling.maxNewTokens
            {
                brokenRules.append("a token after the last one")
            }
            let end = sequence.start + sequence.tokens.count
            if limits.keepsPicturesTogether, let spans = asked[sequence.id]?.0.images,
                spans.contains(where: { $0.runs.contains { $0.lowerBound < end && end < $0.upperBound } })
            {
                brokenRules.append("a step that ends within a picture")
            }
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
        }
    }

    private mutating func end(_ id: RequestID, _ end: End) {
        if ends.updateValue(end, forKey: id) != nil { brokenRules.append("request \(id.value) ended twice") }
    }

    /// How the answers differ from those of a world in which each request is alone.
    func wrongAnswers() -> [String] {
        ends.compactMap { id, end in
            guard let (prompt, sampling) = asked[id] else { return "request \(id.value) was never asked" }
            let expected = SimulatedDevice.answer(to: prompt, sampling, seed: id.value)
            let answer = tokens[id, default: []]
            guard case .finished(let reason) = end else {
                return expected.starts(with: answer)
                    ? nil : "request \(id.value) began \(answer), not \(expected)"
            }
            guard answer == expected else { return "request \(id.value) got \(answer), not \(expected)" }
            return reason == .length && answer.count < sampling.maxNewTokens
                ? "request \(id.value) was cut short" : nil
        }
    }
}
