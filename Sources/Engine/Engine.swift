package import Images
package import Models
package import Scheduling
import Synchronization
package import Tensors

/// Generates answers: takes prompts, gives streams of tokens.
///
/// Thread-safe.
///
/// All decisions are `Scheduler`'s; one thread runs them against the model (`StepLoop`), a few others make tiles.
package final class Engine: Sendable {
    /// What the engine can do, for the edge to check requests against.
    package let limits: EngineLimits
    private let endIDs: [Int32]
    private let loop: StepLoop
    let scheduling: SchedulerLimits
    private let admission = Mutex(Admission())

    private struct Admission {
        var nextID: UInt64 = 1
        var isOpen = true
    }

    /// An engine for a model on one device.
    package convenience init(
        model: any VisionLanguageModel, device: any Device, configuration: EngineConfiguration,
        vocabularyCount: Int,
    ) throws(EngineError) {
        try self.init(
            ranks: [ModelRank(model: model, device: device)], configuration: configuration,
            vocabularyCount: vocabularyCount)
    }

    /// Allocates the stores and starts the threads.
    ///
    /// `ranks` are the parts of one model, the first of them first, with `towerCount` vision towers among them, each over as
    /// many ranks. `vocabularyCount` is the tokenizer's: ids beyond are never chosen. `links` lead to the nodes that have
    /// the ranks behind these.
    package convenience init(
        ranks: [ModelRank], towerCount: Int = 1, links: [NodeLink] = [], configuration: EngineConfiguration,
        vocabularyCount: Int,
    ) throws(EngineError) {
        let plan = try MemoryPlan(
            ranks[0].model, device: ranks[0].device, rankCount: ranks.count, configuration: configuration)
        try self.init(
            ranks: ranks, towerCount: towerCount, links: links, plan: plan, configuration: configuration,
            vocabularyCount: vocabularyCount)
    }

    /// The same with stores as large as `plan` says.
    init(
        ranks: [ModelRank], towerCount: Int, links: [NodeLink] = [], plan: MemoryPlan,
        configuration: EngineConfiguration, vocabularyCount: Int,
    ) throws(EngineError) {
        let model = ranks[0].model, device = ranks[0].device
        let endIDs = model.description.generation.endIDs
        let nodes = links.map { RemoteNode($0) }
        let setup = NodeSetup(limits: plan.limits, vocabularyCount: vocabularyCount, endIDs: endIDs)
        for node in nodes { node.begin(setup) }
        var made: [Rank] = []
        do throws(DeviceError) {
            for rank in ranks {
                made.append(
                    try Rank(
                        model: rank.model, device: rank.device, limits: plan.limits,
                        elementType: configuration.elementType, vocabularyCount: vocabularyCount,
                        endIDs: endIDs,
                        division: rank.collective.map {
                            RankDivision(collective: $0, towerCount: towerCount)
                        }))
            }
            for node in nodes { if let error = node.end() { throw error } }
        } catch {
            throw .device(error)
        }
        let others = zip(made, ranks).dropFirst().compactMap { rank, place in
            place.collective.map { (rank: rank, collective: $0) }
        }
        let group = RankGroup(
            first: made[0], others: others, collective: ranks[0].collective, nodes: nodes)
        guard let group else { throw .noThread }
        if device.isAsynchronous {
            do throws(DeviceError) { try group.warmUp() } catch { throw .device(error) }
        }
        scheduling = plan.limits
        limits = EngineLimits(
            maxSequenceLength: plan.limits.sequenceLength,
            maxImageTokens: plan.limits.imagePageCount * plan.limits.rowsPerImagePage,
            maxImages: plan.limits.imageCapacity, maxQueuedRequests: configuration.queuedRequests,
            vocabularyCount: min(vocabularyCount, model.description.text.vocabularyCount))
        self.endIDs = endIDs
        loop = StepLoop(
            scheduler: Scheduler(limits: plan.limits, endIDs: Set(endIDs)), rank: group,
            imagePageBytes: plan.imagePageBytes, shared: Self.sharedImages(model, configuration))
        guard loop.start(decoders: configuration.decoders) else { throw .noThread }
        group.whenNodeIsGone { [weak loop] error in loop?.post(.broken(error)) }
    }

    /// Queues a prompt; its `images` are the pictures of its spans, in the same order.
    ///
    /// `sampling.maxNewTokens` is cut to what fits. Throws when the prompt can never fit, a parameter is not for this
    /// model, or the queue is full. The request is cancelled when the stream is let go or its task is cancelled.
    package func submit(
        _ prompt: PreparedPrompt, images: [ImageSource], sampling: SamplingParameters,
    ) throws(AdmissionError) -> TokenStream {
        try check(prompt, sampling, count: 1)
        return open(prompt, images, sampling, ids: try admit(1))[0]
    }

    /// Queues `count` answers to one prompt, all of them or none.
    ///
    /// Answer i draws by the seed + i. The prompt is computed for the first and shared by the others; what is to be told
    /// of it comes with the first.
    package func submit(
        _ prompt: PreparedPrompt, images: [ImageSource], sampling: SamplingParameters, count: Int,
    ) throws(AdmissionError) -> [TokenStream] {
        try check(prompt, sampling, count: count)
        return open(prompt, images, sampling, ids: try admit(count))
    }

    /// Queues what `check` has let pass; `whenDone` is called at the end of each answer, on any thread.
    func submit(
        checked prompt: PreparedPrompt, images: [ImageSource], sampling: SamplingParameters, count: Int,
        whenDone: @escaping @Sendable () -> Void,
    ) throws(AdmissionError) -> [TokenStream] {
        open(prompt, images, sampling, ids: try admit(count), whenDone: whenDone)
    }

    /// The embeddings to share; nil where there is no store, or no picture.
    private static func sharedImages(
        _ model: any VisionLanguageModel, _ configuration: EngineConfiguration,
    ) -> SharedImages? {
        guard let store = configuration.embeddingStore, let vision = model.description.vision else {
            return nil
        }
        return SharedImages(
            store: store, columnCount: vision.planeCount * model.description.text.hiddenSize,
            planeCount: vision.planeCount)
    }

    /// A snapshot of counters and gauges.
    package func statistics() -> EngineStatistics { loop.statistics() }

    /// Why the device has failed for good; nil while it works.
    package var failure: String? { loop.failure }

    /// Whether work is queued or running and none of it has advanced for longer than `seconds`.
    ///
    /// Also true once the device has failed for good.
    package func isStalled(forSeconds seconds: Double) -> Bool {
        loop.failure != nil || loop.secondsWithoutProgress() > seconds
    }

    /// Takes no more requests, lets those running finish for at most `seconds`, ends the rest, and stops the threads.
    package func shutDown(drainSeconds seconds: Double) async {
        admission.withLock { $0.isOpen = false }
        let start = ContinuousClock.now
        while loop.openRequests > 0, ContinuousClock.now - start < .seconds(seconds) {
            // A cancelled task drains no longer.
            guard (try? await Task.sleep(for: .milliseconds(20))) != nil else { break }
        }
        loop.post(.stop)
        while !loop.isStopped { await Task.yield() }
    }

    /// Throws for what no engine of these bounds can take.
    func check(
        _ prompt: PreparedPrompt, _ sampling: SamplingParameters, count: Int,
    ) throws(AdmissionError) {
        precondition(count > 0, "an answer is asked for")
        let tokenCount = prompt.tokenIDs.count
        guard tokenCount > 0 else { throw .emptyPrompt }
        guard tokenCount < limits.maxSequenceLength else {
            throw .promptTooLong(tokenCount: tokenCount, limit: limits.maxSequenceLength - 1)
        }
        try checkImages(prompt.images)
        do throws(SamplingError) {
            try sampling.check(vocabularyCount: limits.vocabularyCount, endIDs: endIDs)
        } catch {
            throw .sampling(error)
        }
        guard count <= places else { throw .sampling(SamplingError("n", "must be at most \(places)")) }
    }

    /// How many answers may be on their way.
    private var places: Int { scheduling.runningRequests + limits.maxQueuedRequests }

    private func admit(_ count: Int) throws(AdmissionError) -> [RequestID] {
        let first = admission.withLock { state -> UInt64? in
            guard state.isOpen else { return nil }
            defer { state.nextID += UInt64(count) }
            return state.nextID
        }
        guard let first else { throw .shuttingDown }
        guard loop.failure == nil else { throw .deviceFailed }
        guard loop.openNewRequests(count, limit: places) else { throw .queueFull }
        return (0..<UInt64(count)).map { RequestID(first + $0) }
    }

    /// Hands the answers to the loop, the first of them first.
    private func open(
        _ prompt: PreparedPrompt, _ images: [ImageSource], _ sampling: SamplingParameters, ids: [RequestID],
        whenDone: @escaping @Sendable () -> Void = {},
    ) -> [TokenStream] {
        precondition(images.count == prompt.images.count, "one source a span")
        let first = sampling.limited(toNewTokens: limits.maxSequenceLength - prompt.tokenIDs.count)
        let seed = sampling.seed ?? .random(in: .min ... .max)
        return ids.enumerated().map { index, id in
            let (events, sink) = AsyncThrowingStream.makeStream(
                of: TokenEvent.self, throwing: (any Error).self)
            sink.onTermination = { [loop] reason in
                if case .cancelled = reason { loop.post(.cancel(id)) }
                whenDone()
            }
            loop.post(
                .submit(
                    Submission(
                        id: id, prompt: prompt, images: images,
                        sampling: index == 0 ? first : first.withoutPromptLogprobs(),
                        // Safe: any 64 bits are a seed.
                        seed: seed &+ UInt64(index), leader: index == 0 ? nil : ids[0], sink: sink)))
            return TokenStream(events)
        }
    }

    private func checkImages(_ spans: [ImageSpan]) throws(AdmissionError) {
        guard !spans.isEmpty else { return }
        var sizes: [ImageKey: Int] = [:]
        for span in spans { sizes[span.key] = span.tokenCount }
        guard sizes.count <= limits.maxImages else {
            throw .tooManyImages(count: sizes.count, limit: limits.maxImages)
        }
        // Each picture has pages of its own.
        let rows = scheduling.rowsPerImagePage
        let tokens = sizes.values.reduce(0) { $0 + ($1 + rows - 1) / rows * rows }
        guard tokens <= limits.maxImageTokens else {
            throw .tooManyImageTokens(count: tokens, limit: limits.maxImageTokens)
        }
    }
}

/// Makes a picture when the engine needs it; it is not called when the embeddings are cached.
package struct ImageSource: Sendable {
    /// Decodes; may be slow, is called off the engine's thread.
    package let picture: @Sendable () throws(ImageError) -> DecodedPicture

    /// Takes the work to do.
    package init(picture: @escaping @Sendable () throws(ImageError) -> DecodedPicture) {
        self.picture = picture
    }
}

/// The engine's bounds.
package struct EngineLimits: Sendable, Hashable {
    /// The longest prompt and answer together, in tokens.
    package var maxSequenceLength: Int
    /// The most image tokens of one request, each picture counted in whole pages.
    package var maxImageTokens: Int
    /// The most pictures of one request.
    package var maxImages: Int
    /// Requests that may wait.
    package var maxQueuedRequests: Int
    /// Token ids that there are, from zero.
    package var vocabularyCount: Int

    /// Takes all bounds.
    package init(
        maxSequenceLength: Int, maxImageTokens: Int, maxImages: Int, maxQueuedRequests: Int,
        vocabularyCount: Int,
    ) {
        self.maxSequenceLength = maxSequenceLength
        self.maxImageTokens = maxImageTokens
        self.maxImages = maxImages
        self.maxQueuedRequests = maxQueuedRequests
        self.vocabularyCount = vocabularyCount
    }
}

/// Why a request is not taken.
package enum AdmissionError: Error, Hashable, Sendable {
    /// There is no token in the prompt.
    case emptyPrompt
    /// The prompt leaves no room for an answer.
    case promptTooLong(tokenCount: Int, limit: Int)
    /// More pictures than the cache can hold at once.
    case tooManyImages(count: Int, limit: Int)
    /// More image tokens than the cache can hold at once.
    case tooManyImageTokens(count: Int, limit: Int)
    /// A parameter that this model or engine cannot take.
    case sampling(SamplingError)
    /// The queue is full; try again later.
    case queueFull
    /// The engine is stopping.
    case shuttingDown
    /// The device has failed for good.
    case deviceFailed
}
