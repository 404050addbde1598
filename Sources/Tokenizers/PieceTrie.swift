/// Finds every piece that starts at a place of a text, byte by byte.
struct PieceTrie: Sendable {
    /// A link from a node by a byte, as one key; 0 is an empty place.
    private struct Slot {
        var key: UInt64 = 0
        var node: Int32 = 0
    }

    /// Open addressing with linear probing.
    private var slots = [Slot](repeating: Slot(), count: 1024)
    /// The id of the piece that ends at each node, the first of which is the root; −1 for none.
    private var ids: [Int32] = [-1]

    /// Adds a piece; of equal ones the first counts.
    mutating func add(_ piece: ArraySlice<UInt8>, id: Int32) {
        var node: Int32 = 0
        for byte in piece {
            let next = child(of: node, byte)
            node = next > 0 ? next : insert(under: node, byte)
        }
        if ids[Int(node)] < 0 { ids[Int(node)] = id }
    }

    /// The node behind a byte; 0 if there is none.
    @inline(__always)
    func child(of node: Int32, _ byte: UInt8) -> Int32 {
        let key = Self.key(node, byte)
        var index = hash(key)
        while true {
            let slot = slots[index]
            if slot.key == key { return slot.node }
            if slot.key == 0 { return 0 }
            index = (index + 1) & (slots.count - 1)
        }
    }

    /// The id of the piece that ends at a node; −1 for none.
    @inline(__always)
    func id(at node: Int32) -> Int32 { ids[Int(node)] }

    private mutating func insert(under node: Int32, _ byte: UInt8) -> Int32 {
        let new = Int32(truncatingIfNeeded: ids.count)
        ids.append(-1)
        if ids.count * 2 > slots.count {
            let old = slots
            slots = Array(repeating: Slot(), count: old.count * 2)
            for slot in old where slot.key != 0 { place(slot) }
        }
        place(Slot(key: Self.key(node, byte), node: new))
        return new
    }

    private mutating func place(_ slot: Slot) {
        var index = hash(slot.key)
        while slots[index].key != 0 { index = (index + 1) & (slots.count - 1) }
        slots[index] = slot
    }

    @inline(__always)
    private static func key(_ node: Int32, _ byte: UInt8) -> UInt64 {
        UInt64(UInt32(bitPattern: node)) << 8 | UInt64(byte) | 1 << 40
    }

    @inline(__always)
    private func hash(_ key: UInt64) -> Int {
        Int(truncatingIfNeeded: (key &* 0x9e37_79b9_7f4a_7c15) >> 32) & (slots.count - 1)
    }
}
