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
    static let whole = {
        var limits = cramped
        limits.encodesWholePictures = true
        return limits
    }()
    /// Just room for the largest picture beside a token of every request.
    static let together = {
        var limits = cramped
        limits.keepsPicturesTogether = true
        limits.chunkSize = 15
        limits.tokensPerStep = 6 + 15
        return limits
    }()

    @Test(arguments: 0..<20, [false, true])
    func `every request gets its own answer and ends once, and every rule holds`(seed: UInt64, ahead: Bool) {
        for limits in [Self.roomy, Self.cramped, Self.whole, Self.together] {
            var world = SchedulerSimulation(seed: seed, limits: limits, plansAhead: ahead)
            for _ in 0..<300 { world.advance(arrivals: true) }
            var idleSteps = 0
            while !world.isDone, idleSteps < 20_000 {
                world.advance(arrivals: false)
                idleSteps += 1
            }
            #expect(world.isDone, "seed \(seed): work is left after \(idleSteps) steps")
            #expect(world.brokenRules == [], "seed \(seed)")
            #expect(world.device.brokenRules == [], "seed \(seed)")
            #expect(world.wrongAnswers() == [], "seed \(seed)")
            #expect(Set(world.ends.keys) == Set(world.asked.keys), "seed \(seed)")
            #expect(world.scheduler.usedPageCount == 0)
            #expect(world.scheduler.images.referencedCount == 0)
        }
    }

    @Test func `the cramped world does preempt, evict, fail, and plan ahead for nothing`() {
        var preempted = 0, evicted = 0, failed = 0, unknown = 0, void = 0
        for seed in 0..<UInt64(20) {
            var world = SchedulerSimulation(seed: seed, limits: Self.cramped, plansAhead: true)
            for _ in 0..<300 { world.advance(arrivals: true) }
            preempted += world.scheduler.counters.preempted
            evicted += world.scheduler.images.evictionCount
            failed += world.scheduler.counters.failed
            unknown += world.device.unknownTokenCount
            void += world.voidCount
        }
        #expect(preempted > 20 && evicted > 100 && failed > 20 && unknown > 1000 && void > 100)
    }

    @Test func `the same seed gives the same steps`() {
        func log() -> [String] {
            var world = SchedulerSimulation(seed: 7, limits: Self.cramped, plansAhead: true)
            for _ in 0..<300 { world.advance(arrivals: true) }
            return world.log
        }
        #expect(log() == log())
    }
}
