import Testing

@testable import Scheduling

/// Whole lives of many requests in a seeded world.
struct SchedulerSimulationTests {
    static let roomy = SchedulerLimits(
        pageCount: 200, pageSize: 4, modelLength: 256, runningRequests: 16, tokensPerStep: 32, chunkSize: 16,
        imageCapacity: 8, imagePageCount: 24, rowsPerImagePage: 5, tilesPerStep: 2, preparations: 2)
    static let cramped = {
        var limits = SchedulerLimits(
            pageCount: 24, pageSize: 4, modelLength: 256, runningRequests: 6, tokensPerStep: 8, chunkSize: 3,
            imageCapacity: 2, imagePageCount: 6, rowsPerImagePage: 5, tilesPerStep: 1, preparations: 1)
        limits.scoresPerStep = 2
        return limits
    }()

    @Test(arguments: 0..<60)
    func `every request ends exactly once and every rule holds after every step`(seed: UInt64) {
        for limits in [Self.roomy, Self.cramped] {
            var world = SchedulerSimulation(seed: seed, limits: limits)
            for _ in 0..<300 { world.advance(arrivals: true) }
            var idleSteps = 0
            while !world.isDone, idleSteps < 20_000 {
                world.advance(arrivals: false)
                idleSteps += 1
            }
            #expect(world.isDone, "seed \(seed): work is left after \(idleSteps) steps")
            #expect(world.brokenRules == [], "seed \(seed)")
            #expect(Set(world.ends.keys) == Set(world.asked.keys), "seed \(seed)")
            #expect(world.scheduler.usedPageCount == 0)
            #expect(world.scheduler.images.referencedCount == 0)
        }
    }

    @Test(arguments: 0..<40)
    func `preemption and chunks do not change an answer`(seed: UInt64) {
        var world = SchedulerSimulation(seed: seed, limits: Self.cramped)
        for _ in 0..<300 { world.advance(arrivals: true) }
        while !world.isDone { world.advance(arrivals: false) }
        for (id, end) in world.ends {
            guard case .finished(let reason) = end, let (_, sampling) = world.asked[id] else { continue }
            let expected = SchedulerSimulation.expectedAnswer(seed: id.value, most: sampling.maxNewTokens)
            #expect(world.tokens[id, default: []] == expected, "seed \(seed), request \(id.value)")
            #expect((reason == .length) == (expected.count == sampling.maxNewTokens))
        }
    }

    @Test func `the cramped world does preempt, evict and fail`() {
        var preempted = 0, evicted = 0, failed = 0
        for seed in 0..<UInt64(50) {
            var world = SchedulerSimulation(seed: seed, limits: Self.cramped)
            for _ in 0..<300 { world.advance(arrivals: true) }
            preempted += world.scheduler.counters.preempted
            evicted += world.scheduler.images.evictionCount
            failed += world.scheduler.counters.failed
        }
        #expect(preempted > 20 && evicted > 100 && failed > 20)
    }

    @Test func `the same seed gives the same steps`() {
        func log() -> [String] {
            var world = SchedulerSimulation(seed: 7, limits: Self.cramped)
            for _ in 0..<300 { world.advance(arrivals: true) }
            return world.log
        }
        #expect(log() == log())
    }
}
