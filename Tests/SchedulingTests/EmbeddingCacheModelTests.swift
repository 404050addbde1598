import TestRandom
import Testing

@testable import Scheduling

/// The image cache against a plain model of it, through 10⁶ random operations.
@Suite struct EmbeddingCacheModelTests {
    /// What is known of a picture that is stored.
    private struct Known {
        var pageCount: Int
        var references = 0
        var lastUse = 0
        var state = EmbeddingCache.State.missing
    }

    /// The cache as its documentation has it, without pages: pictures in a dictionary.
    private struct Model {
        let capacity: Int, pageCount: Int
        var pictures: [Int: Known] = [:]
        var clock = 0
        var evictions = 0

        var usedPages: Int { pictures.values.reduce(0) { $0 + $1.pageCount } }

        /// Whether all of `wanted` (picture and pages) got a place; the least recently used of those nobody needs go.
        mutating func reserve(_ wanted: [(Int, Int)]) -> Bool {
            let new = wanted.filter { pictures[$0.0] == nil }
            let names = Set(wanted.map(\.0))
            var goers = pictures.filter {
                $0.value.references == 0 && !names.contains($0.key)
                    && ($0.value.state == .ready || $0.value.state == .missing)
            }.sorted { $0.value.lastUse < $1.value.lastUse }.map(\.key)
            var kept = pictures
            let pages = new.reduce(0) { $0 + $1.1 }
            while kept.count + new.count > capacity
                || kept.values.reduce(0, { $0 + $1.pageCount }) + pages > pageCount
            {
                guard !goers.isEmpty else { return false }
                kept[goers.removeFirst()] = nil
            }
            evictions += pictures.count - kept.count
            pictures = kept
            for (name, count) in new { pictures[name] = Known(pageCount: count) }
            clock += 1
            for name in names {
                pictures[name]?.references += 1
                pictures[name]?.lastUse = clock
            }
            return true
        }

        mutating func release(_ name: Int) {
            clock += 1
            pictures[name]?.references -= 1
            pictures[name]?.lastUse = clock
            guard let known = pictures[name], known.references == 0 else { return }
            switch known.state {
            case .ready, .preparing: break
            case .missing, .prepared: pictures[name] = nil
            }
        }
    }

    private static let rows = 5

    private func key(_ name: Int) -> ImageKey {
        ImageKey(digest: (0..<32).map { UInt8(truncatingIfNeeded: name >> ($0 % 4 * 8)) })
    }

    @Test(arguments: 0..<10) func `every answer and every picture are the model's`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let capacity = 1 + random.below(8), pageCount = 1 + random.below(24)
        var cache = EmbeddingCache(capacity: capacity, pageCount: pageCount, rowsPerPage: Self.rows)
        var model = Model(capacity: capacity, pageCount: pageCount)
        let sizes = (0..<12).map { _ in 1 + random.below(7 * Self.rows) }
        let keys = (0..<12).map(key)
        func pages(_ name: Int) -> Int { (sizes[name] + Self.rows - 1) / Self.rows }
        /// The pictures of each holder.
        var holders: [[Int]] = []
        var differences = 0
        for step in 0..<100_000 {
            switch random.below(6) {
            case 0, 1:
                let names = Set((0...random.below(3)).map { _ in random.below(12) }).sorted()
                // A picture twice in a prompt counts once.
                let spans = (names + names.prefix(1)).enumerated().map {
                    ImageSpan(key: keys[$0.element], start: $0.offset * 100, tokenCount: sizes[$0.element])
                }
                let wanted = names.map { ($0, pages($0)) }
                let fits = wanted.count <= capacity && wanted.reduce(0) { $0 + $1.1 } <= pageCount
                if cache.canEverHold(spans) != fits { differences += 1 }
                let isReserved = cache.reserve(spans)
                if isReserved != model.reserve(wanted) || (isReserved && !fits) { differences += 1 }
                if isReserved { holders.append(names) }
            case 2 where !holders.isEmpty:
                for name in holders.remove(at: random.below(holders.count)) {
                    _ = cache.release(keys[name])
                    model.release(name)
                }
            case 3:
                let name = random.below(12)
                guard model.pictures[name]?.state == .missing else { continue }
                cache.beginPreparing(keys[name])
                model.pictures[name]?.state = .preparing
            case 4:
                let name = random.below(12)
                guard let known = model.pictures[name], known.state == .preparing else { continue }
                if random.below(4) == 0 {
                    cache.finishLoading(keys[name])
                    model.pictures[name]?.state = .ready
                    continue
                }
                if cache.finishPreparing(keys[name]) != (known.references > 0) { differences += 1 }
                if known.references > 0 {
                    model.pictures[name]?.state = .prepared(encoded: 0)
                } else {
                    model.pictures[name] = nil
                }
            case 5:
                let name = random.below(12)
                guard let known = model.pictures[name], case .prepared(let encoded) = known.state else {
                    continue
                }
                let count = 1 + random.below(known.pageCount - encoded)
                let isLast = encoded + count == known.pageCount
                if cache.advance(keys[name], tiles: count) != isLast { differences += 1 }
                model.pictures[name]?.state = isLast ? .ready : .prepared(encoded: encoded + count)
            default: continue
            }
            if cache.count != model.pictures.count || cache.usedPageCount != model.usedPages {
                differences += 1
            }
            if step.isMultiple(of: 50) {
                var references: [ImageKey: Int] = [:]
                for name in holders.joined() { references[keys[name], default: 0] += 1 }
                if !cache.violations(references: references).isEmpty { differences += 1 }
                for (name, known) in model.pictures {
                    let entry = cache[keys[name]]
                    if entry?.state != known.state || entry?.references != known.references
                        || entry?.pages.count != known.pageCount || entry?.rowCount != sizes[name]
                    {
                        differences += 1
                    }
                }
            }
            guard differences == 0 else { break }
        }
        #expect(differences == 0, "seed \(seed)")
        #expect(cache.evictionCount == model.evictions)
    }
}
