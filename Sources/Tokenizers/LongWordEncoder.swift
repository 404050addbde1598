/// Merges a long word in n log n steps: a linked list of symbols, and a heap of the pairs that may join.
struct LongWordEncoder: Sendable {
    private var previous: [Int32] = []
    private var next: [Int32] = []
    /// A pair's rank and, below it, the index of its left symbol; also of pairs that are no more.
    private var heap: [UInt64] = []

    /// Joins the pair of the lowest rank, the leftmost of equals, until none joins.
    mutating func merge(_ symbols: inout [Int32], _ table: borrowing MergeTable) {
        // Indices have 31 bits; a longer word, of more than two gigabytes, stays as it is.
        guard let count = Int32(exactly: symbols.count) else { return }
        previous = Array(-1..<count - 1)
        next = Array(1..<count + 1)
        heap.removeAll(keepingCapacity: true)
        for index in 0..<count - 1 { pushPair(at: index, symbols, table, count) }
        while let top = pop() {
            let index = Int(truncatingIfNeeded: top & 0xFFFF_FFFF)
            let right = Int(next[index])
            guard symbols[index] >= 0, right < count else { continue }
            let merge = table.merge(symbols[index], symbols[right])
            guard UInt64(merge.rank) == top >> 32, merge.id >= 0 else { continue }
            symbols[index] = merge.id
            symbols[right] = -1
            next[index] = next[right]
            if next[right] < count { previous[Int(next[right])] = Int32(truncatingIfNeeded: index) }
            if previous[index] >= 0 { pushPair(at: previous[index], symbols, table, count) }
            pushPair(at: Int32(truncatingIfNeeded: index), symbols, table, count)
        }
        symbols.removeAll { $0 < 0 }
        // A hostile text's memory is not kept for the next.
        if heap.capacity > 1 << 16 { self = LongWordEncoder() }
    }

    private mutating func pushPair(
        at index: Int32, _ symbols: [Int32], _ table: borrowing MergeTable, _ count: Int32
    ) {
        let right = next[Int(index)]
        guard right < count else { return }
        let merge = table.merge(symbols[Int(index)], symbols[Int(right)])
        guard merge.id >= 0 else { return }
        push(UInt64(merge.rank) << 32 | UInt64(UInt32(bitPattern: index)))
    }

    private mutating func push(_ entry: UInt64) {
        heap.append(entry)
        var child = heap.count - 1
        while child > 0, case let parent = (child - 1) / 2, heap[parent] > heap[child] {
            heap.swapAt(parent, child)
            child = parent
        }
    }

    private mutating func pop() -> UInt64? {
        guard let top = heap.first, let last = heap.popLast() else { return nil }
        guard !heap.isEmpty else { return top }
        heap[0] = last
        var parent = 0
        while case let left = parent * 2 + 1, left < heap.count {
            let right = left + 1
            let child = right < heap.count && heap[right] < heap[left] ? right : left
            guard heap[child] < heap[parent] else { break }
            heap.swapAt(parent, child)
            parent = child
        }
        return top
    }
}
