package import Scheduling
import Synchronization

/// Engines with the whole model each, which share out the requests: what a server serves.
///
/// Thread-safe. A request goes to the replica whose caches save most of its work, or to one with less to do
/// (`ReplicaRouter`); all its answers come from there. One replica that has failed for good is a failure of all.
package final class Replicas: Sendable {
    /// What each can do.
    package let limits: EngineLimits
    private let engines: [Engine]
    private let router: Mutex<ReplicaRouter>
    /// Keeps clients from making prompts that the router takes for one another.
    private let seed = UInt64.random(in: .min ... .max)

    /// Replicas of one model, of equal bounds.
    package init(_ engines: [Engine]) {
        precondition(!engines.isEmpty, "there is a replica")
        precondition(
            engines.allSatisfy { $0.scheduling == engines[0].scheduling }, "replicas have equal bounds")
        self.engines = engines
        limits = engines[0].limits
        let scheduling = engines[0].scheduling
        router = Mutex(
            ReplicaRouter(
                count: engines.count, pageCount: scheduling.pageCount,
                imageCapacity: scheduling.imageCapacity))
    }

    /// Makes an engine for each of `replicas`, the ranks of one each, divided as `Engine` says.
    ///
    /// `sharing` of them are on one device, or share the memory of the host: each gets its part of what is free before the
    /// first takes any, and all as much as the one that gets least. `stores` are none, or a way for each to the embeddings
    /// that are shared.
    package convenience init(
        _ replicas: [[ModelRank]], towerCount: Int = 1, links: [NodeLink] = [], sharing: Int,
        configuration: EngineConfiguration, vocabularyCount: Int,
        stores: [any EmbeddingStore] = [],
    ) throws(EngineError) {
        precondition(stores.isEmpty || stores.count == replicas.count, "a store for each, or none")
        var plans: [MemoryPlan] = []
        for ranks in replicas {
            plans.append(
                try MemoryPlan(
                    ranks[0].model, device: ranks[0].device, rankCount: ranks.count, replicaCount: sharing,
                    configuration: configuration))
        }
        var plan = plans[0]
        for other in plans.dropFirst() { plan.limit(to: other) }
        var engines: [Engine] = []
        for (index, ranks) in replicas.enumerated() {
            var configuration = configuration
            if !stores.isEmpty { configuration.embeddingStore = stores[index] }
            engines.append(
                try Engine(
                    ranks: ranks, towerCount: towerCount, links: links, plan: plan,
                    configuration: configuration, vocabularyCount: vocabularyCount))
        }
        self.init(engines)
    }

    /// How many replicas there are.
    package var count: Int { engines.count }

    /// The tokens in flight of each, as the router counts them.
    var loads: [Int] { router.withLock(\.loads) }

    /// Queues `count` answers to one prompt with one replica, all of them or none: see `Engine.submit`.
    package func submit(
        _ prompt: PreparedPrompt, images: [ImageSource], sampling: SamplingParameters, count: Int,
    ) throws(AdmissionError) -> [TokenStream] {
        guard engines.count > 1 else {
            return try engines[0].submit(prompt, images: images, sampling: sampling, count: count)
        }
        try engines[0].check(prompt, sampling, count: count)
        let scheduling = engines[0].scheduling
        let trace = PromptTrace(
            prompt, pageSize: scheduling.pageSize, keepsPrefixes: scheduling.keepsPrefixes, seed: seed)
        var open = engines.indices.filter { engines[$0].failure == nil }
        var obstacle = AdmissionError.deviceFailed
        while true {
            let share = router.withLock {
                $0.route(trace, answers: count, answerTokens: sampling.maxNewTokens, among: open)
            }
            guard let share else { throw obstacle }
            do throws(AdmissionError) {
                return try engines[share.replica].submit(
                    checked: prompt, images: images, sampling: sampling, count: count,
                    whenDone: { [self] in router.withLock { $0.end(share) } })
            } catch {
                // Another may have room.
                obstacle = error
                open.removeAll { $0 == share.replica }
                router.withLock { router in for _ in 0..<count { router.end(share) } }
            }
        }
    }

    /// A snapshot of the counters and gauges of each.
    package func statisticsOfEach() -> [EngineStatistics] { engines.map { $0.statistics() } }

    /// The same of all together.
    package func statistics() -> EngineStatistics { EngineStatistics(sumOf: statisticsOfEach()) }

    /// Why a device has failed for good; nil while all work.
    package var failure: String? {
        for (index, engine) in engines.enumerated() {
            guard let failure = engine.failure else { continue }
            return engines.count == 1 ? failure : "replica \(index): \(failure)"
        }
        return nil
    }

    /// Whether one of them has work and none of it has advanced for longer than `seconds`, or has failed for good.
    package func isStalled(forSeconds seconds: Double) -> Bool {
        engines.contains { $0.isStalled(forSeconds: seconds) }
    }

    /// Takes no more requests, lets those running finish for at most `seconds`, ends the rest, and stops the threads.
    package func shutDown(drainSeconds seconds: Double) async {
        await withTaskGroup(of: Void.self) { group in
            for engine in engines { group.addTask { await engine.shutDown(drainSeconds: seconds) } }
        }
    }
}
