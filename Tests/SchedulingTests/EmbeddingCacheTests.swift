import Testing

@testable import Scheduling

/// Reserving, evicting and failing pictures.
struct EmbeddingCacheTests {
    private func span(_ number: Int, tokens: Int = 4) -> ImageSpan {
        ImageSpan(
            key: ImageKey(digest: Array(repeating: UInt8(number), count: 32)), start: 0, tokenCount: tokens)
    }

    private func stored(_ cache: EmbeddingCache, _ numbers: ClosedRange<Int>) -> [Bool] {
        numbers.map { cache[span($0).key] != nil }
    }

    /// Reserves a picture, brings it to the end of its way, and releases it.
    private func store(_ cache: inout EmbeddingCache, _ number: Int) {
        let key = span(number).key
        let answer1 = cache.reserve([span(number)])
        #expect(answer1)
        cache.beginPreparing(key)
        let answer2 = cache.finishPreparing(key)
        #expect(answer2)
        let answer3 = cache.advance(key, tiles: 1)
        #expect(!answer3)
        let answer4 = cache.advance(key, tiles: 1)
        #expect(answer4)
        let answer5 = cache.release(key)
        #expect(!answer5)
    }

    @Test func `the picture used longest ago goes first`() {
        var cache = EmbeddingCache(capacity: 3, pageCount: 100, rowsPerPage: 2)
        for number in 1...3 { store(&cache, number) }
        let answer6 = cache.reserve([span(1)])
        #expect(answer6)
        let answer7 = cache.release(span(1).key)
        #expect(!answer7)
        let answer8 = cache.reserve([span(4)])
        #expect(answer8)
        #expect(stored(cache, 1...4) == [true, false, true, true])
        let answer9 = cache.reserve([span(5)])
        #expect(answer9)
        #expect(stored(cache, 1...5) == [true, false, false, true, true])
        #expect(cache.evictionCount == 2)
    }

    @Test func `what cannot be reserved whole evicts nothing`() {
        var cache = EmbeddingCache(capacity: 3, pageCount: 6, rowsPerPage: 2)
        store(&cache, 1)
        let answer10 = cache.reserve([span(2)])
        #expect(answer10)
        let answer11 = cache.reserve([span(3), span(4, tokens: 8)])
        #expect(!answer11)
        #expect(cache[span(1).key] != nil)
        #expect(cache.count == 2)
        #expect(cache.evictionCount == 0)
        let answer12 = cache.reserve([span(3), span(1)])
        #expect(answer12)
        let answer13 = cache.reserve([span(4)])
        #expect(!answer13, "all three are needed")
    }

    @Test func `a picture whose tiles are on their way is not evicted`() {
        var cache = EmbeddingCache(capacity: 1, pageCount: 6, rowsPerPage: 2)
        let answer14 = cache.reserve([span(1)])
        #expect(answer14)
        cache.beginPreparing(span(1).key)
        let answer15 = cache.release(span(1).key)
        #expect(!answer15)
        let answer16 = cache.reserve([span(2)])
        #expect(!answer16)
        let answer17 = cache.finishPreparing(span(1).key)
        #expect(!answer17, "nobody needs it any more")
        #expect(cache.count == 0)
        let answer18 = cache.reserve([span(2)])
        #expect(answer18)
    }

    @Test func `a picture given up halfway through the tower is forgotten with its tiles`() {
        var cache = EmbeddingCache(capacity: 1, pageCount: 6, rowsPerPage: 2)
        let answer19 = cache.reserve([span(1)])
        #expect(answer19)
        cache.beginPreparing(span(1).key)
        let answer20 = cache.finishPreparing(span(1).key)
        #expect(answer20)
        let answer21 = cache.advance(span(1).key, tiles: 1)
        #expect(!answer21)
        let answer22 = cache.release(span(1).key)
        #expect(answer22)
        #expect(cache.count == 0)
        #expect(cache.usedPageCount == 0)
    }

    @Test func `the same picture twice in a request counts once`() {
        var cache = EmbeddingCache(capacity: 1, pageCount: 2, rowsPerPage: 2)
        #expect(cache.canEverHold([span(1), span(1)]))
        #expect(!cache.canEverHold([span(1), span(2)]))
        let answer23 = cache.reserve([span(1), span(1)])
        #expect(answer23)
        #expect(cache[span(1).key]?.references == 1)
        #expect(cache.violations(references: [span(1).key: 1]) == [])
    }
}
