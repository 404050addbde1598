/// Finds added tokens in text: at each place the longest, from left to right.
struct AddedTokenMatcher: Sendable {
    /// A stretch of text, or an added token found in it.
    struct Segment {
        /// The bytes, for a token with the white space it swallowed.
        let range: Range<Int>
        /// The token's id; nil for text.
        let id: Int32?
    }

    /// A node of the trie; 0 is the root, and as a link means none.
    private struct Node {
        let byte: UInt8
        var firstChild: Int32 = 0
        var nextSibling: Int32 = 0
        /// Index of the token that ends here, or −1.
        var token: Int32 = -1
    }

    private let tokens: [AddedToken]
    private var nodes = [Node(byte: 0)]
    /// The root's children by byte.
    private var first = [Int32](repeating: 0, count: 256)

    /// A matcher of tokens spelled as given; of equal spellings the first counts.
    init(_ tokens: [(token: AddedToken, spelling: [UInt8])]) {
        self.tokens = tokens.map(\.token)
        for (index, entry) in tokens.enumerated() where !entry.spelling.isEmpty {
            var node = 0
            for byte in entry.spelling { node = descend(from: node, byte) }
            if nodes[node].token < 0 { nodes[node].token = Int32(truncatingIfNeeded: index) }
        }
    }

    /// Whether there is nothing to find.
    var isEmpty: Bool { nodes.count == 1 }

    /// Cuts `bytes[range]` at its added tokens; special ones only if `parseSpecialTokens`.
    func segments(
        _ bytes: Span<UInt8>, _ range: Range<Int>, parseSpecialTokens: Bool, classes: Span<UnicodeClasses>
    ) -> [Segment] {
        var segments: [Segment] = []
        var textStart = range.lowerBound
        var position = range.lowerBound
        while position < range.upperBound {
            guard first[Int(bytes[position])] != 0,
                let match = longestMatch(bytes, position..<range.upperBound)
            else {
                position += 1
                continue
            }
            var found = position..<match.end
            position = match.end
            let token = tokens[match.token]
            if token.isSpecial && !parseSpecialTokens { continue }
            if token.isSingleWord && touchesWord(found, in: bytes, range, classes) { continue }
            if token.stripsLeft || token.stripsRight {
                found = widened(found, for: token, in: bytes, textStart..<range.upperBound, classes)
            }
            if textStart < found.lowerBound {
                segments.append(Segment(range: textStart..<found.lowerBound, id: nil))
            }
            segments.append(Segment(range: found, id: token.id))
            textStart = found.upperBound
        }
        if textStart < range.upperBound {
            segments.append(Segment(range: textStart..<range.upperBound, id: nil))
        }
        return segments
    }

    /// Where a token starts, also within another, or may start whose rest is missing at the end of the text, white space
    /// behind it not counted.
    func starts(in bytes: Span<UInt8>) -> [Int] {
        var end = bytes.count
        while end > 0, bytes[end - 1] == 0x20 || (0x09...0x0d).contains(bytes[end - 1]) { end -= 1 }
        return (0..<bytes.count).filter { start in
            var node = Int(first[Int(bytes[start])]), position = start + 1
            while node != 0 {
                if nodes[node].token >= 0 || position == end || position == bytes.count { return true }
                node = child(of: node, bytes[position])
                position += 1
            }
            return false
        }
    }

    private mutating func descend(from node: Int, _ byte: UInt8) -> Int {
        let known = node == 0 ? Int(first[Int(byte)]) : child(of: node, byte)
        if known != 0 { return known }
        let new = nodes.count
        if node == 0 {
            first[Int(byte)] = Int32(truncatingIfNeeded: new)
            nodes.append(Node(byte: byte))
        } else {
            nodes.append(Node(byte: byte, nextSibling: nodes[node].firstChild))
            nodes[node].firstChild = Int32(truncatingIfNeeded: new)
        }
        return new
    }

    private func child(of node: Int, _ byte: UInt8) -> Int {
        var child = Int(nodes[node].firstChild)
        while child != 0, nodes[child].byte != byte { child = Int(nodes[child].nextSibling) }
        return child
    }

    /// The token with the longest spelling at the start of `bytes[range]`, and where it ends.
    func longestMatch(_ bytes: Span<UInt8>, _ range: Range<Int>) -> (token: Int, end: Int)? {
        var match: (token: Int, end: Int)?
        guard !isEmpty else { return nil }
        var node = Int(first[Int(bytes[range.lowerBound])])
        var position = range.lowerBound + 1
        while node != 0 {
            if nodes[node].token >= 0 { match = (Int(nodes[node].token), position) }
            guard position < range.upperBound else { break }
            node = child(of: node, bytes[position])
            position += 1
        }
        return match
    }

    private func touchesWord(
        _ found: Range<Int>, in bytes: Span<UInt8>, _ range: Range<Int>, _ classes: Span<UnicodeClasses>
    ) -> Bool {
        if found.lowerBound > range.lowerBound {
            let before = UTF8Scalar.start(before: found.lowerBound, in: bytes)
            if classes[Int(UTF8Scalar.read(bytes, at: before).value)].contains(.word) { return true }
        }
        guard found.upperBound < range.upperBound else { return false }
        return classes[Int(UTF8Scalar.read(bytes, at: found.upperBound).value)].contains(.word)
    }

    private func widened(
        _ found: Range<Int>, for token: AddedToken, in bytes: Span<UInt8>, _ range: Range<Int>,
        _ classes: Span<UnicodeClasses>
    ) -> Range<Int> {
        var start = found.lowerBound
        var end = found.upperBound
        while token.stripsLeft, start > range.lowerBound {
            let before = UTF8Scalar.start(before: start, in: bytes)
            guard classes[Int(UTF8Scalar.read(bytes, at: before).value)].contains(.space) else { break }
            start = before
        }
        while token.stripsRight, end < range.upperBound {
            let (scalar, length) = UTF8Scalar.read(bytes, at: end)
            guard classes[Int(scalar)].contains(.space) else { break }
            end += length
        }
        return start..<end
    }
}
