/// Passes on well-formed UTF-8 byte by byte, and puts U+FFFD in place of what is ill-formed.
///
/// A sequence is cut where it can no longer become a character (Unicode 16, section 3.9, maximal subparts).
struct UTF8Repair: Sendable {
    /// The replacement character.
    private static let replacement: [UInt8] = [0xEF, 0xBF, 0xBD]

    /// Whether each byte of an ill-formed sequence has its own replacement.
    private let replacesEachByte: Bool
    /// The bytes of a character that is not complete; at most three.
    private var held: (UInt8, UInt8, UInt8) = (0, 0, 0)
    private var heldCount = 0
    private var missingCount = 0
    /// What the next byte may be.
    private var allowed: ClosedRange<UInt8> = 0x80...0xBF

    /// Nothing taken yet.
    init(replacesEachByte: Bool = false) { self.replacesEachByte = replacesEachByte }

    /// Takes one byte and appends what is now certain.
    mutating func append(_ byte: UInt8, to output: inout [UInt8]) {
        if missingCount > 0 {
            if allowed.contains(byte) {
                continueCharacter(byte, &output)
                return
            }
            finish(&output)
        }
        switch byte {
        case 0..<0x80: output.append(byte)
        case 0xC2...0xDF: begin(byte, missing: 1, 0x80...0xBF)
        case 0xE0: begin(byte, missing: 2, 0xA0...0xBF)
        case 0xED: begin(byte, missing: 2, 0x80...0x9F)
        case 0xE1...0xEF: begin(byte, missing: 2, 0x80...0xBF)
        case 0xF0: begin(byte, missing: 3, 0x90...0xBF)
        case 0xF1...0xF3: begin(byte, missing: 3, 0x80...0xBF)
        case 0xF4: begin(byte, missing: 3, 0x80...0x8F)
        default: output.append(contentsOf: Self.replacement)
        }
    }

    /// Gives up waiting for the rest of a character.
    mutating func finish(_ output: inout [UInt8]) {
        guard missingCount > 0 else { return }
        for _ in 0..<(replacesEachByte ? heldCount : 1) { output.append(contentsOf: Self.replacement) }
        missingCount = 0
        heldCount = 0
    }

    private mutating func begin(_ byte: UInt8, missing: Int, _ allowed: ClosedRange<UInt8>) {
        held.0 = byte
        heldCount = 1
        missingCount = missing
        self.allowed = allowed
    }

    private mutating func continueCharacter(_ byte: UInt8, _ output: inout [UInt8]) {
        missingCount -= 1
        allowed = 0x80...0xBF
        guard missingCount == 0 else {
            if heldCount == 1 { held.1 = byte } else { held.2 = byte }
            heldCount += 1
            return
        }
        output.append(held.0)
        if heldCount > 1 { output.append(held.1) }
        if heldCount > 2 { output.append(held.2) }
        output.append(byte)
        heldCount = 0
    }
}
