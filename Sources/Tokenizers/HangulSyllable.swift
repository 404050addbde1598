/// A Korean syllable, which composes and decomposes by arithmetic.
struct HangulSyllable {
    private static let syllables: ClosedRange<UInt32> = 0xAC00...0xD7A3
    private static let leads: ClosedRange<UInt32> = 0x1100...0x1112
    private static let vowels: ClosedRange<UInt32> = 0x1161...0x1175
    private static let tails: ClosedRange<UInt32> = 0x11A8...0x11C2
    private static let vowelCount: UInt32 = 21
    /// Tails, and the absence of one.
    private static let tailCount: UInt32 = 28

    /// The syllable's first consonant.
    let lead: UInt32
    /// Its vowel.
    let vowel: UInt32
    /// Its last consonant, if it has one.
    let tail: UInt32?

    /// The parts of a scalar; nil if it is no syllable.
    init?(_ scalar: UInt32) {
        guard Self.syllables.contains(scalar) else { return nil }
        let index = scalar - Self.syllables.lowerBound
        lead = Self.leads.lowerBound + index / (Self.vowelCount * Self.tailCount)
        vowel = Self.vowels.lowerBound + index / Self.tailCount % Self.vowelCount
        tail = index % Self.tailCount == 0 ? nil : Self.tails.lowerBound - 1 + index % Self.tailCount
    }

    /// The syllable of a lead and a vowel, or of a syllable without a tail and a tail.
    static func composite(_ first: UInt32, _ second: UInt32) -> UInt32? {
        if leads.contains(first), vowels.contains(second) {
            let row = (first - leads.lowerBound) * vowelCount + second - vowels.lowerBound
            return syllables.lowerBound + row * tailCount
        }
        guard syllables.contains(first), tails.contains(second),
            (first - syllables.lowerBound) % tailCount == 0
        else { return nil }
        return first + second - tails.lowerBound + 1
    }
}
