import Testing

@testable import Tokenizers

struct CompositionTests {
    private static func normal(_ text: String) -> [UInt32]? {
        let bytes = Array(text.utf8)
        let classes = UnicodeClasses.table
        let normal = Composition.shared.normalize(bytes.span, 0..<bytes.count, classes: classes.span)
        return normal.map { String(decoding: $0, as: UTF8.self).unicodeScalars.map(\.value) }
    }

    @Test func `text that is composed for certain is not copied`() {
        #expect(Self.normal("") == nil)
        #expect(Self.normal("plain, déjà vu, 中文, 한국어") == nil)
    }

    @Test func `marks are ordered and composed`() {
        #expect(Self.normal("e\u{301}") == [0xE9])
        #expect(Self.normal("a\u{302}\u{323}") == [0x1EAD])
        #expect(Self.normal("q\u{307}\u{323}x") == [0x71, 0x323, 0x307, 0x78])
        #expect(Self.normal("\u{301}e") == [0x301, 0x65])
    }

    @Test func `excluded and single decompositions stay apart`() {
        #expect(Self.normal("\u{212B}\u{958}\u{344}") == [0xC5, 0x915, 0x93C, 0x308, 0x301])
    }

    @Test func `Korean syllables compose by arithmetic`() {
        #expect(Self.normal("\u{1112}\u{1161}\u{11AB}") == [0xD55C])
        #expect(Self.normal("\u{AC00}\u{11A8}") == [0xAC01])
        #expect(Self.normal("\u{AC01}\u{11A8}") == [0xAC01, 0x11A8])
        #expect(Self.normal("\u{AC00}\u{11A7}x\u{301}") == [0xAC00, 0x11A7, 0x78, 0x301])
    }

    @Test func `a long run of marks keeps the order of equals`() {
        let marks = Array(repeating: "\u{301}\u{323}\u{300}", count: 500).joined()
        let below = [UInt32](repeating: 0x323, count: 500)
        let pairs = [[UInt32]](repeating: [0x301, 0x300], count: 500)
        #expect(Self.normal("1" + marks) == [0x31] + below + pairs.flatMap { $0 })
    }
}
