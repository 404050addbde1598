/// Decides which replica of a model takes a request: the one whose caches save most of its work, unless that has so much
/// more to do than others that these are the faster.
///
/// A value without threads or clocks. It knows the caches by what it sent where; what was evicted since, or never computed,
/// costs a detour and nothing else.
package struct ReplicaRouter: Sendable {
    /// A token that need not be computed weighs as much as so many that a replica has to do before.
    ///
    /// One would be right if nothing else spoke for keeping a conversation in one place; but a beginning that two replicas
    /// keep takes the room of another.
    package static let tokensPerSavedToken = 4
    /// What an answer counts at most: how long it may get says little of how long it gets.
    package static let mostAnswerTokens = 256

    private struct Replica: Sendable {
        var beginnings: RecentKeys<UInt64>
        var images: RecentKeys<ImageKey>
        /// Tokens of the requests it has, as far as they were not found kept.
        var load = 0
        /// When it was last chosen.
        var lastTurn = 0
    }

    private var replicas: [Replica]
    private var turn = 0

    /// `count` idle replicas, each with room for `pageCount` pages of keys and values and `imageCapacity` pictures.
    package init(count: Int, pageCount: Int, imageCapacity: Int) {
        precondition(count > 0, "there is a replica")
        replicas = Array(
            repeating: Replica(
                beginnings: RecentKeys(capacity: min(pageCount, Self.mostBeginnings)),
                images: RecentKeys(capacity: imageCapacity)),
            count: count)
    }

    /// Beginnings remembered of a replica at most: some megabytes.
    private static let mostBeginnings = 1 << 18

    /// The tokens in flight of each replica.
    package var loads: [Int] { replicas.map(\.load) }
    /// How much is remembered of all replicas: beginnings and pictures.
    var rememberedCount: Int { replicas.reduce(0) { $0 + $1.beginnings.count + $1.images.count } }

    /// Chooses one of the replicas `open` for `answers` answers of at most `answerTokens` tokens each, and counts them as
    /// its work; nil when none is open.
    package mutating func route(
        _ trace: PromptTrace, answers: Int = 1, answerTokens: Int, among open: [Int],
    ) -> ReplicaShare? {
        let offers = open.map { (replica: $0, saved: saved(trace, by: $0)) }
        let best = offers.min { left, right in
            let (one, other) = (replicas[left.replica], replicas[right.replica])
            let costs = (
                one.load - Self.tokensPerSavedToken * left.saved.total,
                other.load - Self.tokensPerSavedToken * right.saved.total
            )
            return costs.0 == costs.1 ? one.lastTurn < other.lastTurn : costs.0 < costs.1
        }
        guard let best else { return nil }
        let share = ReplicaShare(
            replica: best.replica,
            tokenCount: (trace.tokenCount - best.saved.beginning) / answers
                + min(answerTokens, Self.mostAnswerTokens))
        turn += 1
        replicas[best.replica].lastTurn = turn
        replicas[best.replica].load += share.tokenCount * answers
        remember(trace, best.replica)
        return share
    }

    /// Notes that an answer has ended, in whatever way.
    package mutating func end(_ share: ReplicaShare) { replicas[share.replica].load -= share.tokenCount }

    /// Tokens that a replica need not compute: those of the prompt's beginning, and with them the image tokens that need no
    /// tower, be they cached or part of the beginning.
    private func saved(_ trace: PromptTrace, by index: Int) -> (beginning: Int, total: Int) {
        let replica = replicas[index]
        let pages = trace.beginnings.prefix(trace.usefulCount).prefix { replica.beginnings.contains($0) }
        let beginning = pages.count * trace.pageSize
        let images = trace.images.filter {
            $0.range.upperBound <= beginning || replica.images.contains($0.key)
        }
        return (beginning, images.reduce(beginning) { $0 + $1.tokenCount })
    }

    private mutating func remember(_ trace: PromptTrace, _ index: Int) {
        // The longest first, so that it is forgotten before those it continues.
        for digest in trace.beginnings.reversed() { replicas[index].beginnings.use(digest) }
        for span in trace.images { replicas[index].images.use(span.key) }
    }
}

/// An answer's part in the work of the replica it was given to.
package struct ReplicaShare: Sendable, Hashable {
    /// The replica, from zero.
    package let replica: Int
    /// What the answer counts there.
    let tokenCount: Int
}
