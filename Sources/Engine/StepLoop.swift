import Images
import Scheduling
import Synchronization
import Tensors

/// A request on its way into the loop.
struct Submission: Sendable {
    let id: RequestID
    let prompt: PreparedPrompt
    let images: [ImageSource]
    let sampling: SamplingParameters
    let seed: UInt64
    /// The first answer to the same prompt, when this is another.
    var leader: RequestID?
    let sink: AsyncThrowingStream<TokenEvent, any Error>.Continuation
}

/// The engine's thread: drains commands, plans, runs the plan, commits, delivers; sleeps when there is nothing to do.
final class StepLoop: @unchecked Sendable {
    // Safe: the properties down to `flight` belong to the thread that runs `run`; all others are synchronised.
    private var scheduler: Scheduler
    private let rank: RankGroup
    private let imagePageBytes: Int
    /// The embeddings that replicas share; nil where they do not.
    private let shared: SharedImages?
    private var requests: [RequestID: OpenRequest] = [:]
    /// The tiles of pictures that are on their way through the tower.
    private var tiles: [ImageKey: PreparedPicture] = [:]
    /// The step under way.
    private var flight: Flight?

    private let commands = Mailbox<Command>()
    private let decodes = Mailbox<DecodeJob?>()
    private let published = Mutex(EngineStatistics())
    private let openCount = Atomic<Int>(0)
    private let stopped = Atomic<Bool>(false)
    /// Why the device will not recover; nil while it works.
    private let deviceFailure = Mutex<String?>(nil)
    private let clock = ContinuousClock()
    /// When a step last ended; nil while there is nothing to do.
    private let busySince = Mutex<ContinuousClock.Instant?>(nil)
    private var decoderCount = 0

    /// What other threads tell the loop.
    enum Command: Sendable {
        case submit(Submission)
        case cancel(RequestID)
        case prepared(ImageKey, Result<PreparedPicture, ImageError>)
        case found(ImageKey, ArraySlice<UInt8>)
        /// A device is known to be lost though no step has found out.
        case broken(DeviceError)
        case stop
    }

    /// What the loop keeps of a request beside the scheduler.
    private struct OpenRequest {
        let images: [ImageSource]
        let maxNewTokens: Int
        let sink: AsyncThrowingStream<TokenEvent, any Error>.Continuation
    }

    /// A step that is enqueued and not yet finished.
    private struct Flight {
        let plan: StepPlan
        /// The pictures whose tiles could be enqueued, in the order of the device's results.
        let encoded: [ImageKey]
        /// Whether its sequences could be.
        var isEnqueued = true
    }

    private struct DecodeJob: Sendable {
        let key: ImageKey
        let source: ImageSource
        /// Rows of embeddings it becomes.
        let rowCount: Int
    }

    /// A loop that has not started.
    init(scheduler: Scheduler, rank: RankGroup, imagePageBytes: Int, shared: SharedImages? = nil) {
        self.scheduler = scheduler
        self.rank = rank
        self.imagePageBytes = imagePageBytes
        self.shared = shared
        publish()
    }

    /// Starts the loop's thread and `decoders` threads that make tiles; false when the system gives none.
    func start(decoders: Int) -> Bool {
        decoderCount = decoders
        if let shared { guard shared.start() else { return false } }
        for _ in 0..<decoders {
            let started = DedicatedThread.start { [decodes, commands, shared, cuts = rank.cutsPictures] in
                while let job = decodes.takeOne() {
                    if let rows = shared?.find(job.key, rowCount: job.rowCount) {
                        commands.post(.found(job.key, rows))
                        continue
                    }
                    do throws(ImageError) {
                        let picture = PreparedPicture(try job.source.picture(), cutByDevice: cuts)
                        commands.post(.prepared(job.key, .success(picture)))
                    } catch {
                        commands.post(.prepared(job.key, .failure(error)))
                    }
                }
            }
            guard started else { return false }
        }
        return DedicatedThread.start { self.run() }
    }

    // MARK: From other threads

    /// Hands over a command.
    func post(_ command: Command) { commands.post(command) }

    /// How many requests are queued or running.
    var openRequests: Int { openCount.load(ordering: .relaxed) }

    /// Counts `count` more requests, unless that would be more than `limit`: then none of them.
    func openNewRequests(_ count: Int, limit: Int) -> Bool {
        if openCount.add(count, ordering: .relaxed).newValue <= limit { return true }
        openCount.subtract(count, ordering: .relaxed)
        return false
    }

    /// Whether the loop has ended.
    var isStopped: Bool { stopped.load(ordering: .acquiring) }

    /// The numbers after the last step.
    func statistics() -> EngineStatistics {
        var statistics = published.withLock(\.self)
        statistics.sharedImages = shared?.statistics
        return statistics
    }

    /// Why the device will not recover; nil while it works.
    var failure: String? { deviceFailure.withLock(\.self) }

    /// For how long there has been work without a step ending; zero when idle.
    func secondsWithoutProgress() -> Double {
        busySince.withLock { since in
            guard let since else { return 0 }
            return (clock.now - since) / .seconds(1)
        }
    }

    // MARK: The loop

    private func run() {
        var mustWait = false
        while true {
            for command in commands.takeAll(waiting: mustWait) {
                if case .stop = command {
                    rank.stop()
                    endAll()
                    return
                }
                handle(command)
            }
            mustWait = failure != nil || step()
            if failure != nil { giveUp() }
            publish()
            busySince.withLock { $0 = scheduler.isIdle ? nil : clock.now }
        }
    }

    private func handle(_ command: Command) {
        switch command {
        case .submit(let submission):
            requests[submission.id] = OpenRequest(
                images: submission.images, maxNewTokens: submission.sampling.maxNewTokens,
                sink: submission.sink)
            scheduler.submit(
                submission.id, prompt: submission.prompt, sampling: submission.sampling,
                seed: submission.seed,
                after: submission.leader)
        case .cancel(let id):
            if scheduler.cancel(id) { end(id, throwing: .cancelled) }
        case .prepared(let key, .success(let made)):
            tiles[key] = made
            _ = scheduler.finishPreparing(key, succeeded: true)
        case .prepared(let key, .failure(let error)):
            for failure in scheduler.finishPreparing(key, succeeded: false) {
                end(failure.request, throwing: .image(index: failure.index, error))
            }
        case .found(let key, let rows):
            load(key, rows)
        case .broken(let error): fail(error)
        case .stop:
            break
        }
    }

    /// Stores embeddings that were found elsewhere: the picture needs neither tiles nor tower.
    ///
    /// The pages are the picture's since it was planned, and the device writes them after the steps that are on the way.
    private func load(_ key: ImageKey, _ rows: ArraySlice<UInt8>) {
        do throws(DeviceError) {
            try rank.load(rows, pages: scheduler.images[key]?.pages ?? [])
            scheduler.finishLoading(key)
        } catch {
            fail(error)
            scheduler.finishLoading(key)
            for failure in scheduler.fail(key) { end(failure.request, throwing: .failed) }
        }
    }

    /// Gives the embeddings of a picture to the replicas, if `vision` was the last step that it needed.
    ///
    /// The device is behind that step, and nobody has got the pages since: a step that is on the way by now encodes only
    /// pictures that were prepared when it was planned.
    private func share(_ vision: VisionStep) {
        guard let shared, let entry = scheduler.images[vision.key], entry.state == .ready,
            vision.tiles.upperBound == entry.pages.count, entry.pages[vision.tiles] == vision.pages[...],
            shared.mayGive(rowCount: entry.rowCount)
        else { return }
        do throws(DeviceError) {
            let rows = try rank.storedRows(entry.rowCount, pages: entry.pages)
            shared.give(vision.key, rowCount: entry.rowCount, rows)
        } catch {
            fail(error)
        }
    }

    /// Ends all requests: the device will not recover.
    private func giveUp() {
        flight = nil
        for id in requests.keys {
            _ = scheduler.cancel(id)
            end(id, throwing: .failed)
        }
        tiles = [:]
    }

    /// Plans and enqueues a step, then finishes the one before; answers whether there was nothing to do.
    ///
    /// A device that works by itself thus has the next step before the host knows what came of this one.
    private func step() -> Bool {
        let plan = scheduler.plan()
        for key in plan.discarded { tiles[key] = nil }
        for start in plan.started {
            guard let request = requests[start.id] else { continue }
            request.sink.yield(
                .started(
                    RequestStart(found: start.found, maxNewTokens: request.maxNewTokens)))
        }
        for preparation in plan.preparations {
            guard let source = requests[preparation.request]?.images[preparation.index] else { continue }
            decodes.post(
                DecodeJob(
                    key: preparation.key, source: source,
                    rowCount: scheduler.images[preparation.key]?.rowCount ?? 0))
        }
        let next = plan.isEmpty ? nil : enqueue(plan)
        if rank.runsAhead {
            let current = flight
            flight = next
            if let current { finish(current) }
            return current == nil && next == nil
        }
        if let next { finish(next) }
        return next == nil
    }

    /// Enqueues what a plan says.
    private func enqueue(_ plan: StepPlan) -> Flight {
        let encoded = encode(plan.visions)
        do throws(DeviceError) {
            try rank.enqueue(plan.sequences)
            return Flight(plan: plan, encoded: encoded)
        } catch {
            fail(error)
            return Flight(plan: plan, encoded: encoded, isEnqueued: false)
        }
    }

    /// Waits for a step and hands over what came of it.
    private func finish(_ flight: Flight) {
        var result = StepResult()
        if flight.isEnqueued {
            do throws(DeviceError) { result = try rank.collect() } catch { fail(error) }
        } else {
            rank.skip()
        }
        let plan = flight.plan
        report(result, plan)
        let deliveries = scheduler.commit(plan, chosen: plan.sequences.map { result.tokens[$0.id]?.id })
        // Who hears that an answer is complete finds it counted.
        publish()
        for delivery in deliveries { deliver(delivery, result.tokens[delivery.id]) }
        let sound = Set(zip(flight.encoded, result.soundPictures).filter(\.1).map(\.0))
        for vision in plan.visions where !sound.contains(vision.key) {
            tiles[vision.key] = nil
            for failure in scheduler.fail(vision.key) { end(failure.request, throwing: .failed) }
        }
        for vision in plan.visions where sound.contains(vision.key) { share(vision) }
    }

    /// Notes that the device refused; when it will not recover, for good.
    private func fail(_ error: DeviceError) {
        if case .failed(let reason) = error { deviceFailure.withLock { $0 = $0 ?? reason } }
    }

    /// Enqueues tiles of pictures; answers which pictures those were.
    private func encode(_ steps: [VisionStep]) -> [ImageKey] {
        var parts: [PictureTiles] = []
        var keys: [ImageKey] = []
        for step in steps {
            guard let made = tiles[step.key], let part = PictureTiles(made, step) else { continue }
            parts.append(part)
            keys.append(step.key)
            // The scheduler counts what it plans as done.
            if scheduler.images[step.key]?.state == .ready { tiles[step.key] = nil }
        }
        do throws(DeviceError) {
            try rank.encode(parts)
            return keys
        } catch {
            fail(error)
            return []
        }
    }

    /// Hands over what was to be told of prompts.
    private func report(_ result: StepResult, _ plan: StepPlan) {
        for sequence in plan.sequences {
            guard let scoring = sequence.scoring, let scores = result.scores[sequence.id] else { continue }
            let tokens = zip(scoring.places, scores).map { PromptToken(place: $0, sampled: $1) }
            requests[sequence.id]?.sink.yield(.prompt(tokens))
        }
    }

    private func deliver(_ delivery: Delivery, _ token: SampledToken?) {
        guard let request = requests[delivery.id] else { return }
        if delivery.isFailed {
            end(delivery.id, throwing: .failed)
            return
        }
        if delivery.hasToken, let token { request.sink.yield(.token(token)) }
        if let finish = delivery.finish {
            request.sink.yield(.finished(finish))
            end(delivery.id, throwing: nil)
        }
    }

    /// Ends a request's stream and forgets the request.
    private func end(_ id: RequestID, throwing error: GenerationError?) {
        guard let request = requests.removeValue(forKey: id) else { return }
        if error != nil { publish() }
        openCount.subtract(1, ordering: .relaxed)
        request.sink.finish(throwing: error)
    }

    private func endAll() {
        for id in requests.keys {
            _ = scheduler.cancel(id)
            end(id, throwing: .cancelled)
        }
        for _ in 0..<decoderCount { decodes.post(nil) }
        shared?.stop()
        publish()
        busySince.withLock { $0 = nil }
        stopped.store(true, ordering: .releasing)
    }

    private func publish() {
        var statistics = EngineStatistics()
        let counters = scheduler.counters
        statistics.requestsSubmitted = counters.submitted
        statistics.requestsFinished = counters.finished
        statistics.requestsCancelled = counters.cancelled
        statistics.requestsFailed = counters.failed
        statistics.requestsPreempted = counters.preempted
        statistics.promptTokens = counters.promptTokens
        statistics.cachedPromptTokens = counters.cachedPromptTokens
        statistics.generatedTokens = counters.generatedTokens
        statistics.imageCacheHits = counters.imageHits
        statistics.imageCacheMisses = counters.imageMisses
        statistics.imagesEncoded = counters.imagesEncoded
        statistics.tilesEncoded = counters.tilesEncoded
        statistics.steps = counters.steps
        statistics.runningRequests = scheduler.runningCount
        statistics.waitingRequests = scheduler.waitingCount
        statistics.usedPages = scheduler.usedPageCount
        statistics.promisedTokens = scheduler.promisedTokenCount
        statistics.keptPages = scheduler.prefixes.keptCount
        statistics.pageEvictions = scheduler.prefixes.evictionCount
        statistics.totalPages = scheduler.limits.pageCount
        statistics.pageSize = scheduler.limits.pageSize
        statistics.imageCacheEvictions = scheduler.images.evictionCount
        statistics.cachedImages = scheduler.images.count
        statistics.imageCacheCapacity = scheduler.images.capacity
        statistics.referencedImages = scheduler.images.referencedCount
        statistics.imageCacheBytes = scheduler.images.usedPageCount * imagePageBytes
        published.withLock { $0 = statistics }
    }
}
