/// Byte-pair encoding's tables: a vocabulary and the merges that build it up from bytes or scalars.
struct BytePairModel: Sendable {
    /// What becomes of a byte or scalar that the vocabulary does not have.
    struct Unknown: Sendable {
        /// The id that takes its place.
        let id: Int32
        /// Whether neighbouring unknown ones share one.
        let isFused: Bool
    }

    /// How the tokens are spelled: merging starts from bytes at the byte level, else from scalars.
    var spelling = TokenSpelling.byteLevel
    /// The tokens.
    var vocabulary: Vocabulary
    /// The merges.
    var merges: MergeTable
    /// The id of each byte, or −1; where merging starts from scalars, of its stand-in for unknown ones.
    var byteIDs: [Int32]
    /// The ids of scalars.
    var scalars = ScalarTable()
    /// Scalars that are no token but part of one, by their place past the vocabulary's last id.
    var unspelledScalars: [UInt32] = []
    /// What stands for the unknown; nil if it is left out.
    var unknown: Unknown?
    /// Whether a piece that is a token is that token, whatever the merges would make of it.
    var ignoresMerges = false
    /// Whether no merge crosses the place before a space mark, so that words may be encoded one by one.
    var isCutAtMarks = false
    /// Ids that the model does not produce, since they belong to added tokens alone.
    var outsideModel: Set<Int32> = []

    /// Appends the symbols that merging starts from.
    @inline(__always)
    func appendSymbols(of bytes: Span<UInt8>, _ range: Range<Int>, to symbols: inout [Int32]) {
        switch spelling {
        case .byteLevel: appendBytes(bytes, range, to: &symbols)
        case .plain: appendScalars(bytes, range, to: &symbols)
        }
    }

    private func appendBytes(_ bytes: Span<UInt8>, _ range: Range<Int>, to symbols: inout [Int32]) {
        var lastIsUnknown = false
        for index in range {
            let id = byteIDs[Int(bytes[index])]
            if id >= 0 {
                symbols.append(id)
                lastIsUnknown = false
            } else if let unknown {
                if !(lastIsUnknown && unknown.isFused) { symbols.append(unknown.id) }
                lastIsUnknown = true
            }
        }
    }

    private func appendScalars(_ bytes: Span<UInt8>, _ range: Range<Int>, to symbols: inout [Int32]) {
        // As in the reference, an unknown waits for the next scalar that is known, and bytes go before it.
        var waiting: Unknown?
        var position = range.lowerBound
        while position < range.upperBound {
            let (scalar, length) = UTF8Scalar.read(bytes, at: position)
            let id = scalars[scalar]
            if id >= 0 {
                if let unknown = waiting { symbols.append(unknown.id) }
                waiting = nil
                symbols.append(id)
            } else if !appendFallback(bytes, position..<position + length, to: &symbols), let unknown {
                if waiting != nil, !unknown.isFused { symbols.append(unknown.id) }
                waiting = unknown
            }
            position += length
        }
        if let unknown = waiting { symbols.append(unknown.id) }
    }

    /// Appends a token for each byte, if all have one.
    private func appendFallback(_ bytes: Span<UInt8>, _ range: Range<Int>, to symbols: inout [Int32]) -> Bool
    {
        for index in range where byteIDs[Int(bytes[index])] < 0 { return false }
        for index in range { symbols.append(byteIDs[Int(bytes[index])]) }
        return true
    }

    /// Replaces what is left of scalars that are no token by bytes or by the unknown token.
    func spellOut(_ symbols: inout [Int32]) {
        guard !unspelledScalars.isEmpty else { return }
        var output: [Int32] = []
        for symbol in symbols {
            let place = Int(symbol) - vocabulary.count
            if place >= 0 {
                let bytes = UTF8Scalar.bytes(of: unspelledScalars[place])
                if !appendFallback(bytes.span, 0..<bytes.count, to: &output), let unknown {
                    Self.append(unknown.id, to: &output, unknown)
                }
            } else {
                Self.append(symbol, to: &output, unknown)
            }
        }
        symbols = output
    }

    private static func append(_ id: Int32, to output: inout [Int32], _ unknown: Unknown?) {
        if let unknown, unknown.isFused, id == unknown.id, output.last == id { return }
        output.append(id)
    }
}
