/// Unicode's canonical composition (NFC), with the reference library's tables.
///
/// Text is changed only round scalars that may change; all else is copied. See Unicode Standard Annex 15.
struct Composition: Sendable {
    /// The tables, made once.
    static let shared = Composition()

    /// Scalars with a decomposition, ascending, and the two parts of each (0: no second part).
    private let decomposed: [UInt32]
    private let parts: [(first: UInt32, second: UInt32)]
    /// Pairs that compose, as first and second in one number, ascending, and what each pair gives.
    private let pairs: [UInt64]
    private let composites: [UInt32]

    private init() {
        let rows = CompositionTable.rows
        let starts = Array(stride(from: 0, to: rows.count, by: 4))
        decomposed = starts.map { rows[$0] }
        parts = starts.map { (rows[$0 + 1], rows[$0 + 2]) }
        let composing = starts.filter { rows[$0 + 3] == 1 }
            .map { (pair: Self.pair(rows[$0 + 1], rows[$0 + 2]), composite: rows[$0]) }
            .sorted { $0.pair < $1.pair }
        pairs = composing.map(\.pair)
        composites = composing.map(\.composite)
    }

    /// The NFC form of `bytes[range]`; nil if that is `bytes[range]` for certain.
    func normalize(_ bytes: Span<UInt8>, _ range: Range<Int>, classes: Span<UnicodeClasses>) -> [UInt8]? {
        var output: [UInt8]?
        var copied = range.lowerBound
        var lastStable = range.lowerBound
        var position = range.lowerBound
        var window = Window()
        while position < range.upperBound {
            // Every scalar below U+0300, whose first byte is below 0xCC, is stable.
            if bytes[position] < 0xCC {
                lastStable = position
                position += bytes[position] < 0x80 ? 1 : 2
                continue
            }
            let (scalar, length) = UTF8Scalar.read(bytes, at: position)
            guard classes[Int(scalar)].contains(.unstable) else {
                lastStable = position
                position += length
                continue
            }
            var text = output ?? []
            for index in copied..<lastStable { text.append(bytes[index]) }
            copied = fill(&window, from: lastStable, to: range.upperBound, past: position, bytes, classes)
            compose(&window)
            for scalar in window.composed { UTF8Scalar.append(scalar, to: &text) }
            output = text
            position = copied
            lastStable = copied
        }
        guard var text = output else { return nil }
        for index in copied..<range.upperBound { text.append(bytes[index]) }
        return text
    }

    /// Scalars between two stable ones, the first stable one included.
    private struct Window {
        /// Decomposed scalars with the order of their combining class above them.
        var scalars: [UInt64] = []
        var composed: [UInt32] = []
    }

    /// Decomposes what lies from `start` up to the first stable scalar after `unstable`; returns where that is.
    private func fill(
        _ window: inout Window, from start: Int, to end: Int, past unstable: Int, _ bytes: Span<UInt8>,
        _ classes: Span<UnicodeClasses>
    ) -> Int {
        window.scalars.removeAll(keepingCapacity: true)
        var position = start
        while position < end {
            let (scalar, length) = UTF8Scalar.read(bytes, at: position)
            guard position <= unstable || classes[Int(scalar)].contains(.unstable) else { break }
            decompose(scalar, into: &window)
            position += length
        }
        return position
    }

    private func decompose(_ scalar: UInt32, into window: inout Window) {
        if let syllable = HangulSyllable(scalar) {
            window.scalars.append(UInt64(syllable.lead))
            window.scalars.append(UInt64(syllable.vowel))
            if let tail = syllable.tail { window.scalars.append(UInt64(tail)) }
            return
        }
        guard let row = Self.index(of: scalar, in: decomposed) else {
            window.scalars.append(UInt64(Self.combiningOrder(scalar)) << 32 | UInt64(scalar))
            return
        }
        decompose(parts[row].first, into: &window)
        if parts[row].second != 0 { decompose(parts[row].second, into: &window) }
    }

    /// Orders marks by their classes, then joins each with its starter where a composite exists.
    private func compose(_ window: inout Window) {
        var start = 0
        while start < window.scalars.count {
            var end = start
            while end < window.scalars.count, window.scalars[end] >> 32 != 0 { end += 1 }
            if end - start > 1 { Self.order(&window.scalars, start..<end) }
            start = end + 1
        }
        window.composed.removeAll(keepingCapacity: true)
        var starter: Int?
        var lastOrder: UInt64 = 0
        for entry in window.scalars {
            let scalar = UInt32(truncatingIfNeeded: entry)
            let order = entry >> 32
            if let starter, lastOrder == 0 || lastOrder < order,
                let composite = composite(window.composed[starter], scalar)
            {
                window.composed[starter] = composite
                continue
            }
            if order == 0 { starter = window.composed.count }
            lastOrder = order
            window.composed.append(scalar)
        }
    }

    /// Sorts by combining class and keeps the order of equals.
    private static func order(_ scalars: inout [UInt64], _ range: Range<Int>) {
        let sorted = scalars[range].enumerated().sorted {
            ($0.element >> 32, $0.offset) < ($1.element >> 32, $1.offset)
        }
        for (index, entry) in sorted.enumerated() { scalars[range.lowerBound + index] = entry.element }
    }

    private func composite(_ first: UInt32, _ second: UInt32) -> UInt32? {
        if let syllable = HangulSyllable.composite(first, second) { return syllable }
        return Self.index(of: Self.pair(first, second), in: pairs).map { composites[$0] }
    }

    private static func pair(_ first: UInt32, _ second: UInt32) -> UInt64 {
        UInt64(first) << 32 | UInt64(second)
    }

    private static func combiningOrder(_ scalar: UInt32) -> UInt32 {
        let runs = CompositionTable.combiningRuns
        let next = lowerBound(of: scalar << 8 | 0xFF, in: runs, orEqual: true)
        return next == 0 ? 0 : runs[next - 1] & 0xFF
    }

    private static func index<Number: Comparable>(of key: Number, in keys: [Number]) -> Int? {
        let index = lowerBound(of: key, in: keys, orEqual: false)
        return index < keys.count && keys[index] == key ? index : nil
    }

    /// The number of keys below `key`, or of those not above it.
    private static func lowerBound<Number: Comparable>(of key: Number, in keys: [Number], orEqual: Bool)
        -> Int
    {
        var low = 0
        var high = keys.count
        while low < high {
            let middle = (low + high) / 2
            if keys[middle] < key || (orEqual && keys[middle] == key) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }
}
