/// Tokens by id and ids by token, without a string for each.
///
/// A token spelled in the byte alphabet is kept as the bytes it stands for, any other as it is spelled
/// ("literal").
struct Vocabulary: Sendable {
    /// Ids from here up are refused, so that a damaged file cannot ask for all memory.
    static let greatestCount = 1 << 22

    private struct Entry {
        var start: UInt32 = 0
        var length: UInt32 = 0
        var state: State = .absent
    }

    private enum State: UInt8 {
        case absent
        case bytes
        case literal
    }

    private var pool: [UInt8] = []
    private var entries: [Entry] = []
    /// Open addressing with linear probing; an id, or −1.
    private var slots: [Int32] = []
    private var tokenCount = 0

    /// The greatest id and 1.
    var count: Int { entries.count }
    /// The number of tokens, which is less than `count` if ids are left out.
    var size: Int { tokenCount }

    /// Room for a vocabulary of about so many tokens.
    init(expected: Int) {
        entries.reserveCapacity(expected)
        pool.reserveCapacity(expected * 7)
        slots = Array(repeating: -1, count: Self.slotCount(for: expected))
    }

    /// Adds a token under an id that has none yet.
    mutating func add(_ token: [UInt8], isLiteral: Bool, id: Int32) throws(TokenizerError) {
        guard id >= 0, Int(id) < Self.greatestCount else {
            throw TokenizerError("token id \(id) is out of range")
        }
        while entries.count <= Int(id) { entries.append(Entry()) }
        guard entries[Int(id)].state == .absent else { throw TokenizerError("two tokens have the id \(id)") }
        guard self.id(of: token.span, 0..<token.count, isLiteral: isLiteral) == nil else {
            throw TokenizerError("the tokens \(id) and another are spelled alike")
        }
        guard let start = UInt32(exactly: pool.count), let length = UInt32(exactly: token.count) else {
            throw TokenizerError("the vocabulary is too large")
        }
        pool.append(contentsOf: token)
        entries[Int(id)] = Entry(start: start, length: length, state: isLiteral ? .literal : .bytes)
        tokenCount += 1
        if tokenCount * 2 > slots.count { grow() } else { insert(id) }
    }

    /// The id of a token.
    func id(of bytes: Span<UInt8>, _ range: Range<Int>, isLiteral: Bool) -> Int32? {
        let state: State = isLiteral ? .literal : .bytes
        var slot = Self.hash(bytes, range) & (slots.count - 1)
        while slots[slot] >= 0 {
            let id = slots[slot]
            let entry = entries[Int(id)]
            if entry.state == state, Int(entry.length) == range.count, isEqual(entry, bytes, range.lowerBound)
            {
                return id
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    /// The id of a token that is a whole array.
    func id(of token: [UInt8], isLiteral: Bool = false) -> Int32? {
        id(of: token.span, 0..<token.count, isLiteral: isLiteral)
    }

    /// What a token stands for; nil if there is no such id.
    func bytes(of id: Int32) -> ArraySlice<UInt8>? {
        guard id >= 0, Int(id) < entries.count else { return nil }
        let entry = entries[Int(id)]
        guard entry.state != .absent else { return nil }
        return pool[Int(entry.start)..<Int(entry.start) + Int(entry.length)]
    }

    private func isEqual(_ entry: Entry, _ bytes: Span<UInt8>, _ start: Int) -> Bool {
        let poolStart = Int(entry.start)
        for offset in 0..<Int(entry.length) where pool[poolStart + offset] != bytes[start + offset] {
            return false
        }
        return true
    }

    private mutating func insert(_ id: Int32) {
        let start = Int(entries[Int(id)].start)
        let range = start..<start + Int(entries[Int(id)].length)
        var slot = Self.hash(pool.span, range) & (slots.count - 1)
        while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = id
    }

    private mutating func grow() {
        slots = Array(repeating: -1, count: slots.count * 2)
        for id in entries.indices where entries[id].state != .absent { insert(Int32(truncatingIfNeeded: id)) }
    }

    private static func slotCount(for expected: Int) -> Int {
        var count = 1024
        while count < expected * 2 { count *= 2 }
        return count
    }

    /// FNV-1a, folded so that the low bits depend on all others.
    private static func hash(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for index in range { hash = (hash ^ UInt64(bytes[index])) &* 0x100_0000_01b3 }
        return Int(truncatingIfNeeded: (hash ^ hash >> 32) & 0x7fff_ffff)
    }
}
