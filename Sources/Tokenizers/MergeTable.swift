/// The merges by the pair of ids that they join.
struct MergeTable: Sendable {
    /// What joining two neighbours gives, and how early it is done.
    struct Merge: Sendable {
        /// The place in the list of merges; the lowest is done first.
        let rank: UInt32
        /// The id of the joined token.
        let id: Int32

        /// Neighbours that do not join.
        static let none = Merge(rank: .max, id: -1)
    }

    private struct Slot {
        var pair: UInt64
        var merge: Merge
    }

    private static let emptyPair = UInt64.max
    private var slots: [Slot]
    private var shift: UInt64
    private var count = 0

    /// Room for about so many merges.
    init(expected: Int) {
        var bits: UInt64 = 4
        while 1 << bits < expected * 2 { bits += 1 }
        shift = 64 - bits
        slots = Array(repeating: Slot(pair: Self.emptyPair, merge: .none), count: 1 << bits)
    }

    /// The merge of two neighbours.
    @inline(__always)
    func merge(_ left: Int32, _ right: Int32) -> Merge {
        let pair = Self.pair(left, right)
        var index = Int(truncatingIfNeeded: (pair &* 0x9e37_79b9_7f4a_7c15) >> shift)
        while true {
            let slot = slots[index]
            if slot.pair == pair { return slot.merge }
            if slot.pair == Self.emptyPair { return .none }
            index = (index + 1) & (slots.count - 1)
        }
    }

    /// Adds a merge; it replaces an earlier one of the same pair.
    mutating func add(_ left: Int32, _ right: Int32, _ merge: Merge) {
        if (count + 1) * 2 > slots.count { grow() }
        insert(Slot(pair: Self.pair(left, right), merge: merge))
    }

    private mutating func insert(_ new: Slot) {
        var index = Int(truncatingIfNeeded: (new.pair &* 0x9e37_79b9_7f4a_7c15) >> shift)
        while slots[index].pair != Self.emptyPair, slots[index].pair != new.pair {
            index = (index + 1) & (slots.count - 1)
        }
        if slots[index].pair == Self.emptyPair { count += 1 }
        slots[index] = new
    }

    private mutating func grow() {
        let old = slots
        shift -= 1
        count = 0
        slots = Array(repeating: Slot(pair: Self.emptyPair, merge: .none), count: old.count * 2)
        for slot in old where slot.pair != Self.emptyPair { insert(slot) }
    }

    @inline(__always)
    private static func pair(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }
}
