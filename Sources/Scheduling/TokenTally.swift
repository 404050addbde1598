/// How often tokens occurred, kept up token by token: two lists side by side.
package struct TokenTally: Hashable, Sendable {
    /// Distinct ids in the order of their first occurrence.
    package private(set) var ids: [Int32] = []
    /// Each id's count.
    package private(set) var counts: [Int32] = []

    /// Nothing has occurred.
    package init() {}

    /// Adds an occurrence of `id`, whose index in the lists is `place` unless it is new.
    fileprivate mutating func add(_ id: Int32, at place: Int?) {
        guard let place else {
            ids.append(id)
            counts.append(1)
            return
        }
        counts[place] += 1
    }
}

/// A tally and where its ids are, so that another token costs the same however many there were.
struct TokenCounter: Sendable {
    /// What has occurred so far.
    private(set) var tally = TokenTally()
    private var places: [Int32: Int] = [:]

    /// Counts a token.
    mutating func add(_ id: Int32) {
        let place = places[id]
        if place == nil { places[id] = tally.ids.count }
        tally.add(id, at: place)
    }
}
