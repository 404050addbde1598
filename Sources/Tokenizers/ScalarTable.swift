/// The ids of the tokens that are one scalar.
struct ScalarTable: Sendable {
    private struct Slot {
        var scalar: UInt32
        var id: Int32
    }

    private var ascii = [Int32](repeating: -1, count: 128)
    /// Open addressing with linear probing; id −1 is an empty place.
    private var slots = [Slot](repeating: Slot(scalar: 0, id: -1), count: 256)
    private var count = 0

    /// The id of a scalar; −1 if there is none.
    @inline(__always)
    subscript(_ scalar: UInt32) -> Int32 {
        if scalar < 0x80 { return ascii[Int(scalar)] }
        var index = Self.hash(scalar) & (slots.count - 1)
        while slots[index].id >= 0 {
            if slots[index].scalar == scalar { return slots[index].id }
            index = (index + 1) & (slots.count - 1)
        }
        return -1
    }

    /// Adds a token if it is one scalar that is not there yet.
    mutating func add(_ token: ArraySlice<UInt8>, id: Int32) {
        guard !token.isEmpty, token.count <= 4 else { return }
        let bytes = Array(token)
        let (scalar, length) = UTF8Scalar.read(bytes.span, at: 0)
        guard length == bytes.count, self[scalar] < 0 else { return }
        guard scalar >= 0x80 else {
            ascii[Int(scalar)] = id
            return
        }
        if (count + 1) * 2 > slots.count { grow() }
        count += 1
        insert(Slot(scalar: scalar, id: id))
    }

    private mutating func insert(_ slot: Slot) {
        var index = Self.hash(slot.scalar) & (slots.count - 1)
        while slots[index].id >= 0 { index = (index + 1) & (slots.count - 1) }
        slots[index] = slot
    }

    private mutating func grow() {
        let old = slots
        slots = Array(repeating: Slot(scalar: 0, id: -1), count: old.count * 2)
        for slot in old where slot.id >= 0 { insert(slot) }
    }

    @inline(__always)
    private static func hash(_ scalar: UInt32) -> Int {
        Int(truncatingIfNeeded: (scalar &* 0x9E37_79B1) >> 8)
    }
}
