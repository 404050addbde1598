import TestRandom
import Testing

@testable import Scheduling

/// Which replica a request goes to.
struct ReplicaRouterTests {
    private static let pageSize = 4
    private var router = ReplicaRouter(count: 3, pageCount: 1000, imageCapacity: 100)

    private func prompt(_ ids: [Int32], _ images: [(number: Int, start: Int, count: Int)] = [])
        -> PreparedPrompt
    {
        PreparedPrompt(
            tokenIDs: ids,
            images: images.map {
                ImageSpan(key: key($0.number), start: $0.start, tokenCount: $0.count)
            })
    }

    private func key(_ number: Int) -> ImageKey {
        ImageKey(digest: (0..<32).map { UInt8(truncatingIfNeeded: number >> ($0 % 4 * 8)) })
    }

    private func trace(_ prompt: PreparedPrompt, seed: UInt64 = 7) -> PromptTrace {
        PromptTrace(prompt, pageSize: Self.pageSize, seed: seed)
    }

    /// Text that begins as no other number's does.
    private func text(_ number: Int, count: Int) -> [Int32] {
        (0..<count).map { Int32(number * 1000 + $0) }
    }

    private mutating func place(
        _ prompt: PreparedPrompt, answers: Int = 1, among open: [Int] = [0, 1, 2],
    ) throws -> ReplicaShare {
        let share = router.route(trace(prompt), answers: answers, answerTokens: 10, among: open)
        return try #require(share)
    }

    @Test mutating func `requests that have nothing in common are shared out evenly`() throws {
        var counts = [0, 0, 0]
        for number in 0..<30 { counts[try place(prompt(text(number, count: 20))).replica] += 1 }
        #expect(counts == [10, 10, 10])
        #expect(router.loads == [300, 300, 300])
    }

    @Test mutating func `requests that come one after another are shared out, too`() throws {
        var counts = [0, 0, 0]
        for number in 0..<30 {
            let share = try place(prompt(text(number, count: 20)))
            counts[share.replica] += 1
            router.end(share)
        }
        #expect(counts == [10, 10, 10] && router.loads == [0, 0, 0])
    }

    @Test mutating func `a conversation stays where it began`() throws {
        var homes: [Int] = []
        var conversations = (0..<6).map { text($0, count: 40) }
        for turn in 0..<5 {
            for number in conversations.indices {
                let share = try place(prompt(conversations[number]))
                if turn == 0 { homes.append(share.replica) }
                #expect(share.replica == homes[number], "conversation \(number), turn \(turn)")
                router.end(share)
                conversations[number] += text(100 + number * 10 + turn, count: 15)
            }
        }
        #expect(Set(homes) == [0, 1, 2])
    }

    @Test mutating func `a picture draws later questions about it, whatever stands before it`() throws {
        let home = try place(prompt(text(1, count: 60), [(number: 9, start: 4, count: 50)]))
        router.end(home)
        for number in 2..<12 {
            let question = text(number, count: 80)
            let share = try place(prompt(question, [(number: 9, start: 20, count: 50)]))
            #expect(share.replica == home.replica)
            // Its image tokens are computed by the text tower all the same.
            #expect(share.tokenCount == 80 + 10)
            router.end(share)
        }
    }

    @Test mutating func `what is found is not counted as work`() throws {
        let first = try place(prompt(text(1, count: 41)))
        #expect(first.tokenCount == 41 + 10)
        let again = try place(prompt(text(1, count: 41)))
        #expect(again.replica == first.replica && again.tokenCount == 1 + 10)
        // The last token is always computed, so a prompt of whole pages finds one less.
        let whole = try place(prompt(text(1, count: 40)))
        #expect(whole.tokenCount == 4 + 10)
    }

    @Test mutating func `many of one kind overflow to the others, once they have to wait`() throws {
        let question = prompt(text(1, count: 60), [(number: 9, start: 4, count: 50)])
        var counts = [0, 0, 0]
        for _ in 0..<300 { counts[try place(question).replica] += 1 }
        #expect(counts.min().map { $0 > 80 } == true, "\(counts)")
        // The first few stay together.
        var fresh = ReplicaRouter(count: 3, pageCount: 1000, imageCapacity: 100)
        let first = (0..<8).compactMap { _ in
            fresh.route(trace(question), answerTokens: 10, among: [0, 1, 2])?.replica
        }
        #expect(Set(first).count == 1)
    }

    @Test mutating func `only open replicas are chosen, and none when none is`() throws {
        let question = prompt(text(1, count: 41))
        let home = try place(question).replica
        let others = [0, 1, 2].filter { $0 != home }
        let other = try place(question, among: others).replica
        #expect(others.contains(other))
        let none = router.route(trace(question), answerTokens: 10, among: [])
        #expect(none == nil)
    }

    @Test mutating func `answers to one prompt share its cost, and each takes its part away`() throws {
        let share = try place(prompt(text(1, count: 40)), answers: 4)
        #expect(router.loads[share.replica] == 4 * (10 + 10))
        for left in [60, 40, 20, 0] {
            router.end(share)
            #expect(router.loads[share.replica] == left)
        }
        let long = router.route(trace(prompt([5])), answerTokens: .max, among: [0])
        #expect(long?.tokenCount == 1 + ReplicaRouter.mostAnswerTokens)
    }

    @Test func `a prompt that may not begin with kept pages looks for none and leaves none`() throws {
        var alone = prompt(text(1, count: 40))
        alone.usesPrefixCache = false
        #expect(trace(alone).beginnings.isEmpty)
        let off = PromptTrace(
            prompt(text(1, count: 40)), pageSize: Self.pageSize, keepsPrefixes: false, seed: 1)
        #expect(off.beginnings.isEmpty && off.tokenCount == 40)
    }

    @Test func `a digest is that of all tokens up to the end of its page`() {
        let base = text(1, count: 41), trace = trace(prompt(base))
        #expect(trace.beginnings.count == 10 && trace.usefulCount == 10)
        #expect(Set(trace.beginnings).count == 10)
        for place in base.indices {
            var changed = base
            changed[place] += 1
            let other = self.trace(prompt(changed)).beginnings
            for page in 0..<10 {
                #expect((other[page] == trace.beginnings[page]) == (page < place / Self.pageSize))
            }
        }
        var swapped = base
        swapped.swapAt(0, 1)
        #expect(self.trace(prompt(swapped)).beginnings[0] != trace.beginnings[0])
        #expect(self.trace(prompt(base), seed: 8).beginnings[0] != trace.beginnings[0])
        let pictures = [1, 2].map { number in
            self.trace(prompt(base, [(number: number, start: 6, count: 9)])).beginnings
        }
        #expect(pictures[0][0] == trace.beginnings[0] && pictures[0][0] == pictures[1][0])
        #expect(pictures[0][1] != pictures[1][1] && pictures[0][1] != trace.beginnings[1])
    }

    @Test(arguments: 0..<20)
    func `under random work loads are exact, memory is bounded and nobody is left behind`(seed: UInt64) throws
    {
        var random = SeededRandom(seed: seed)
        let count = 2 + random.below(4), pages = 1 + random.below(40), pictures = random.below(4)
        var router = ReplicaRouter(count: count, pageCount: pages, imageCapacity: pictures)
        var open: [ReplicaShare] = []
        let mostTokens = 60
        for _ in 0..<600 {
            if random.below(5) > 0 {
                var ids = text(random.below(3), count: 1 + random.below(mostTokens - 1))
                if random.below(2) == 0 { ids[ids.count / 2] = Int32(random.below(1000)) }
                let images =
                    ids.count > 8 ? [(number: random.below(5), start: random.below(4), count: 5)] : []
                let answers = 1 + random.below(3)
                let share = router.route(
                    trace(prompt(ids, images)), answers: answers, answerTokens: random.below(20),
                    among: Array(0..<count))
                open += Array(repeating: try #require(share), count: answers)
            } else if !open.isEmpty {
                router.end(open.remove(at: random.below(open.count)))
            }
            for replica in 0..<count {
                let load = open.reduce(0) { $0 + ($1.replica == replica ? $1.tokenCount : 0) }
                #expect(router.loads[replica] == load, "seed \(seed)")
            }
            #expect(router.rememberedCount <= count * (pages + pictures))
        }
        // Whatever is asked for, who has nothing to do gets work before another is this far ahead.
        while !open.isEmpty { router.end(open.removeLast()) }
        let question = trace(prompt(text(1, count: mostTokens), [(number: 1, start: 4, count: 50)]))
        let mostSaved = mostTokens + 50, cost = mostTokens + 20
        for _ in 0..<500 {
            _ = router.route(question, answerTokens: 20, among: Array(0..<count))
            let loads = router.loads
            let lead = (loads.max() ?? 0) - (loads.min() ?? 0)
            #expect(lead <= ReplicaRouter.tokensPerSavedToken * mostSaved + cost, "seed \(seed)")
        }
    }

    @Test(arguments: 0..<10)
    func `a bounded set holds the keys used last`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let capacity = random.below(6)
        var set = RecentKeys<Int>(capacity: capacity), order: [Int] = []
        for _ in 0..<300 {
            let key = random.below(10)
            set.use(key)
            order.removeAll { $0 == key }
            order.append(key)
            order = order.suffix(capacity)
            #expect(set.count == order.count)
            for key in 0..<10 { #expect(set.contains(key) == order.contains(key), "seed \(seed)") }
        }
    }

    @Test func `of a prompt's pages the last are forgotten first`() throws {
        var router = ReplicaRouter(count: 2, pageCount: 10, imageCapacity: 0)
        func place(_ number: Int, _ count: Int, among open: [Int] = [0, 1]) throws -> ReplicaShare {
            let share = router.route(trace(prompt(text(number, count: count))), answerTokens: 1, among: open)
            if let share { router.end(share) }
            return try #require(share)
        }
        let long = try place(1, 41)
        // Four pages of another leave the first six of the prompt.
        _ = try place(2, 17, among: [long.replica])
        let again = try place(1, 41)
        #expect(again.replica == long.replica && again.tokenCount == 41 - 24 + 1)
    }
}
