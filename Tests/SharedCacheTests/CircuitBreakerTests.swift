import Testing

@testable import SharedCache

/// When a server that fails is asked.
struct CircuitBreakerTests {
    private let start = ContinuousClock.now

    /// A breaker that has just opened, at `start`.
    private func opened() -> CircuitBreaker {
        var breaker = CircuitBreaker()
        for _ in 0..<CircuitBreaker.mostFailures { breaker.fail(askedAt: start, at: start) }
        return breaker
    }

    @Test func `a few failures in a row are borne, and an answer makes up for them`() {
        var breaker = CircuitBreaker()
        for _ in 0..<10 {
            for _ in 1..<CircuitBreaker.mostFailures { breaker.fail(askedAt: start, at: start) }
            #expect(!breaker.isPaused)
            breaker.succeed()
        }
        let mayAsk = breaker.mayAsk(at: start)
        #expect(mayAsk)
    }

    @Test func `then nothing is asked for a while, and one question tries`() {
        var breaker = opened()
        var answers = [breaker.mayAsk(at: start), breaker.mayAsk(at: start + .seconds(1.9))]
        #expect(answers == [false, false] && breaker.isPaused)
        answers = [breaker.mayAsk(at: start + .seconds(2)), breaker.mayAsk(at: start + .seconds(3))]
        #expect(answers == [true, false])
        breaker.succeed()
        answers = [breaker.mayAsk(at: start + .seconds(3)), breaker.mayAsk(at: start + .seconds(3))]
        #expect(answers == [true, true] && !breaker.isPaused)
    }

    @Test func `each try that fails doubles the while, up to a bound`() {
        var breaker = opened(), now = start, pauses: [Int] = []
        for _ in 0..<7 {
            var seconds = 0
            while !breaker.mayAsk(at: now + .seconds(seconds)) { seconds += 1 }
            pauses.append(seconds)
            now = now + .seconds(seconds)
            breaker.fail(askedAt: now, at: now)
        }
        #expect(pauses == [2, 4, 8, 16, 30, 30, 30])
    }

    @Test func `questions that end with one failure are one failure`() {
        var breaker = CircuitBreaker()
        breaker.fail(askedAt: start, at: start + .seconds(1))
        for _ in 0..<10 { breaker.fail(askedAt: start, at: start + .seconds(1)) }
        #expect(!breaker.isPaused)
    }
}
