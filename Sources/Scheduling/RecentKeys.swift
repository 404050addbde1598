/// A bounded set that forgets the key that was used longest ago.
struct RecentKeys<Key: Hashable & Sendable>: Sendable {
    private struct Entry: Sendable {
        var key: Key
        /// Neighbours in the order of use; −1 at the ends.
        var previous = -1
        var next = -1
    }

    /// The most keys it holds.
    let capacity: Int
    private var places: [Key: Int] = [:]
    private var entries: [Entry] = []
    /// The ends of the order: used longest ago, and last.
    private var oldest = -1
    private var newest = -1

    /// An empty set of at most `capacity` keys.
    init(capacity: Int) { self.capacity = capacity }

    /// How many keys it holds.
    var count: Int { places.count }

    func contains(_ key: Key) -> Bool { places[key] != nil }

    /// Puts `key` in, or notes that it was used; the oldest makes room.
    mutating func use(_ key: Key) {
        if let place = places[key] {
            unlink(place)
            link(place)
        } else if entries.count < capacity {
            places[key] = entries.count
            entries.append(Entry(key: key))
            link(entries.count - 1)
        } else if capacity > 0 {
            let place = oldest
            unlink(place)
            places[entries[place].key] = nil
            places[key] = place
            entries[place].key = key
            link(place)
        }
    }

    private mutating func unlink(_ place: Int) {
        let (previous, next) = (entries[place].previous, entries[place].next)
        if previous < 0 { oldest = next } else { entries[previous].next = next }
        if next < 0 { newest = previous } else { entries[next].previous = previous }
    }

    /// Puts an entry at the end of the order.
    private mutating func link(_ place: Int) {
        entries[place].previous = newest
        entries[place].next = -1
        if newest < 0 { oldest = place } else { entries[newest].next = place }
        newest = place
    }
}
