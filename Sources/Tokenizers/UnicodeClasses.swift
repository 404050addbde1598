/// What a scalar is to the patterns and to normalization, as one byte of flags.
struct UnicodeClasses: OptionSet, Sendable {
    let rawValue: UInt8

    /// `\p{L}`.
    static let letter = Self(rawValue: 1)
    /// `\p{N}`.
    static let number = Self(rawValue: 2)
    /// `\s`.
    static let space = Self(rawValue: 4)
    /// `\p{M}`.
    static let mark = Self(rawValue: 8)
    /// What the Digits pre-tokenizer sets apart.
    static let numeric = Self(rawValue: 16)
    /// What may not touch an added token that is a single word.
    static let word = Self(rawValue: 32)
    /// What may change, or change its neighbour, under NFC.
    static let unstable = Self(rawValue: 64)

    /// The classes of every scalar, 1.1 MB of which ordinary text touches a few pages.
    static let table: [Self] = {
        var table = [Self](repeating: [], count: 0x110000)
        let runs = UnicodeClassTable.runs
        for (index, run) in runs.enumerated() {
            let end = index + 1 < runs.count ? Int(runs[index + 1] >> 8) : table.count
            let classes = Self(rawValue: UInt8(truncatingIfNeeded: run))
            for scalar in Int(run >> 8)..<end { table[scalar] = classes }
        }
        return table
    }()
}
