import TestRandom
import Testing

@testable import Scheduling

/// The tree of kept pages, by itself and against a plain dictionary.
struct PrefixCacheTests {
    private func keys(_ ids: [Int32]) -> ArraySlice<TokenKey> { ids.map(TokenKey.init(id:))[...] }

    /// A request as the cache sees it.
    private struct Holder {
        var ids: [Int32]
        var path: [PrefixCache.NodeIndex]
        var own: [PageIndex]
    }

    private func violations(_ cache: PrefixCache, _ holders: [Holder]) -> [String] {
        var held: [PrefixCache.NodeIndex: Int] = [:]
        for node in holders.flatMap(\.path) { held[node, default: 0] += 1 }
        return cache.violations(owned: holders.flatMap(\.own), held: held)
    }

    @Test(arguments: 0..<20)
    func `under random work it finds what a dictionary of prefixes finds`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var cache = PrefixCache(pageCount: 24, pageSize: 2)
        var holders: [Holder] = []
        // Every whole-page prefix that was put in, and the page it must be in; those evicted are found missing.
        var known: [[Int32]: PageIndex] = [:]
        for _ in 0..<400 {
            if random.below(2) == 0 {
                let ids = (0..<(2 + random.below(9))).map { _ in Int32(random.below(3)) }
                let path = cache.hold(keys(ids))
                for (number, page) in cache.pages(of: path).enumerated() {
                    #expect(known[Array(ids.prefix(2 * number + 2))] == page, "seed \(seed)")
                }
                let needed = (ids.count + 1) / 2 - path.count
                guard let own = cache.take(needed) else {
                    cache.letGo(path)
                    continue
                }
                for prefix in known.filter({ own.contains($0.value) }).keys { known[prefix] = nil }
                holders.append(Holder(ids: ids, path: path, own: own))
            } else if !holders.isEmpty {
                var holder = holders.remove(at: random.below(holders.count))
                let full = holder.ids.count / 2 - holder.path.count
                if full > 0, random.below(4) != 0 {
                    let start = holder.path.count * 2
                    holder.path = cache.insert(
                        keys(Array(holder.ids[start..<(start + 2 * full)])),
                        pages: Array(holder.own.prefix(full)),
                        below: holder.path)
                    holder.own.removeFirst(full)
                    for (number, page) in cache.pages(of: holder.path).enumerated() {
                        known[Array(holder.ids.prefix(2 * number + 2))] = page
                    }
                }
                if random.below(3) == 0 {
                    holders.append(holder)
                } else {
                    cache.letGo(holder.path)
                    cache.release(holder.own)
                }
            }
            #expect(violations(cache, holders) == [], "seed \(seed)")
        }
        for holder in holders {
            cache.letGo(holder.path)
            cache.release(holder.own)
        }
        #expect(cache.availableCount == 24 && cache.usedCount == 0)
    }

    @Test func `what was let go of longest ago is evicted first, children before parents`() {
        var cache = PrefixCache(pageCount: 4, pageSize: 1)
        func keep(_ ids: [Int32]) {
            let path = cache.hold(keys(ids))
            let own = cache.take(ids.count - path.count) ?? []
            cache.letGo(cache.insert(keys(Array(ids.dropFirst(path.count))), pages: own, below: path))
        }
        keep([1, 2])
        keep([3, 4])
        keep([1, 2])
        let pages = cache.take(1)
        #expect(pages?.count == 1)
        #expect(cache.matchLength(keys([3, 4])).pages == 1 && cache.matchLength(keys([1, 2])).pages == 2)
    }

    @Test func `image tokens match by their picture and place, not by their ids`() {
        let picture = ImageKey(digest: Array(repeating: 7, count: 32))
        let other = ImageKey(digest: Array(repeating: 7, count: 31) + [8])
        func keys(_ key: ImageKey) -> [TokenKey] {
            TokenKey.keys(
                of: PreparedPrompt(
                    tokenIDs: Array(repeating: 9, count: 6),
                    images: [ImageSpan(key: key, start: 1, tokenCount: 4)]))
        }
        #expect(keys(picture) == keys(picture))
        #expect(keys(picture).first == keys(other).first && keys(picture).last == keys(other).last)
        #expect(Set(keys(picture) + keys(other)).count == 9)
    }

    @Test func `text between the tokens of a picture matches by its ids`() {
        let picture = ImageKey(digest: Array(repeating: 7, count: 32))
        let runs = PreparedPrompt(
            tokenIDs: [9, 9, 9, 5, 6, 9, 9], images: [ImageSpan(key: picture, runs: [1..<3, 5..<6])])
        let whole = PreparedPrompt(
            tokenIDs: [9, 9, 9, 9, 5], images: [ImageSpan(key: picture, start: 1, tokenCount: 3)])
        let (keys, others) = (TokenKey.keys(of: runs), TokenKey.keys(of: whole))
        #expect(Array(keys[...2]) == Array(others[...2]) && keys[5] == others[3])
        #expect(keys[3] == TokenKey(id: 5) && keys[4] == TokenKey(id: 6) && keys[6] == TokenKey(id: 9))
        #expect(runs.textTokens() == [9, 5, 6, 9] && runs.imageTokenCount == 3)
    }
}
