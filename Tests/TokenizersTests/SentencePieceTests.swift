import TestRandom
import Testing

@testable import Tokenizers

struct SentencePieceTests {
    /// A field of a protobuf message.
    private static func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
        [number << 3 | 2, UInt8(bytes.count)] + bytes
    }

    private static func piece(_ text: String, _ score: Float, _ kind: SentencePieceFile.Kind = .normal)
        -> [UInt8]
    {
        let word = (0..<4).map { UInt8(truncatingIfNeeded: score.bitPattern >> UInt32($0 * 8)) }
        return field(1, field(1, Array(text.utf8)) + [0x15] + word + [0x18, UInt8(kind.rawValue)])
    }

    /// A BPE model in which the piece 7 is kept whole and the pieces 8 and 9 spell what merges could make.
    private static let small: [UInt8] =
        piece("<unk>", 0, .unknown) + piece("<s>", 0, .control) + piece("▁", -1) + piece("a", -2)
        + piece("b", -3)
        + piece("ab", -4) + piece("aba", -5) + piece("[X]", 0, .userDefined) + piece("<", -6)
        + piece("s>", -7)
        + field(2, [0x18, 2]) + field(3, [0x18, 1, 0x20, 0, 0x28, 1])

    private static func message(_ bytes: [UInt8]) -> String? {
        do throws(TokenizerError) {
            _ = try Tokenizer(sentencePiece: bytes)
            return nil
        } catch {
            return error.message
        }
    }

    @Test func `merges follow the scores, and unknown text is one token`() throws {
        let tokenizer = try Tokenizer(sentencePiece: Self.small)
        #expect(tokenizer.encode("abab") == [2, 5, 5])
        #expect(tokenizer.encode("aba xyz b") == [2, 6, 2, 0, 2, 4])
        #expect(tokenizer.encode("") == [])
        #expect(tokenizer.decode([2, 6, 2, 4], skipSpecialTokens: true) == "aba b")
    }

    @Test func `user text cannot make a special token`() throws {
        let tokenizer = try Tokenizer(sentencePiece: Self.small)
        #expect(tokenizer.encode("<s>a") == [1, 2, 3])
        #expect(!tokenizer.encode("<s>a", parseSpecialTokens: false).contains(1))
        // A token that other files put in the place of a piece is not reached by the piece's text.
        let added = [
            AddedToken(id: 6, content: "<|end|>", isSpecial: true),
            AddedToken(id: 7, content: "[X]", isSpecial: true),
            AddedToken(id: 12, content: "<|new|>", isSpecial: true),
        ]
        let extended = try Tokenizer(sentencePiece: Self.small, addedTokens: added)
        #expect(extended.vocabularyCount == 13)
        #expect(extended.encode("aba<|end|>[X]<|new|>") == [2, 5, 3, 6, 7, 12])
        let plain = extended.encode("aba<|end|>[X]<|new|>", parseSpecialTokens: false)
        #expect(Set(plain).isDisjoint(with: [6, 7, 12]))
        #expect(extended.decode([6, 5], skipSpecialTokens: false) == "<|end|>ab")
    }

    @Test func `a mark goes before each text, the first, or none`() throws {
        var options = SentencePieceOptions()
        options.prefix = ["<s>"]
        let each = try Tokenizer(sentencePiece: Self.small, options: options)
        #expect(each.encode("a<s>b", addSpecialTokens: true) == [1, 2, 3, 1, 2, 4])
        options.mark = .atStart
        let first = try Tokenizer(sentencePiece: Self.small, options: options)
        #expect(first.encode("a<s>b", addSpecialTokens: true) == [1, 2, 3, 1, 4])
        #expect(first.encode("<s>b") == [1, 4])
        options.mark = .none
        let none = try Tokenizer(sentencePiece: Self.small, options: options)
        #expect(none.encode("a<s>b") == [3, 1, 4])
        #expect(none.decode([2, 3], skipSpecialTokens: true) == " a")
    }

    @Test func `what is not supported is refused with its reason`() {
        for (bytes, reason) in [
            ([], "no pieces"), ([0x0A], "malformed"), ([0x0A, 5, 0], "cut short"), ([0x0B], "malformed"),
            (Self.piece("a", 0), "exactly one piece for the unknown"),
            (Self.small + Self.piece("a", 0), "spelled alike"), (Self.small + Self.piece("", 0), "empty"),
            (Self.small + Self.piece("n", .nan), "finite"),
            (Self.small + Self.field(2, [0x18, 4]), "character"),
            (Self.small + Self.field(2, [0x18, 9]), "model_type is unknown"),
            (Self.small + Self.piece("u", 0, .unused), "unused pieces"),
            (Self.small + Self.field(2, [0x98, 0x02, 1]), "some bytes have no piece"),
            (Self.small + Self.field(2, [0xC0, 0x01, 1]), "treat_whitespace_as_suffix"),
            (Self.small + Self.field(3, [0x12, 3, 1, 2, 3]), "precompiled_charsmap is malformed"),
            (Self.small + Self.field(5, [0x12, 1, 7]), "denormalizer"),
        ] as [([UInt8], String)] {
            let message = Self.message(bytes)
            #expect(
                message?.hasPrefix("tokenizer.model: ") == true && message?.contains(reason) == true,
                "\(reason)")
        }
    }

    @Test(arguments: ["bpe", "bpe-symbols", "unigram-symbols", "unigram-bare"])
    func `damaged files load or are refused, and what loads encodes`(_ name: String) {
        var generator = SeededRandom(seed: 11)
        let whole = TokenizerFixtures.bytes("Tests/Fixtures/pieces/\(name).model")
        for round in 0..<250 {
            var bytes = whole
            if round % 5 == 0 { bytes.removeLast(Int.random(in: 1..<bytes.count, using: &generator)) }
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                // The settings, and the map of characters, are at the end.
                let start = Bool.random(using: &generator) ? max(0, bytes.count - 1_500) : 0
                let place = Int.random(in: start..<bytes.count, using: &generator)
                bytes[place] = UInt8.random(in: 0...255, using: &generator)
            }
            do throws(TokenizerError) {
                let tokenizer = try Tokenizer(sentencePiece: bytes)
                for text in TokenizerFixtures.pieceTexts.suffix(40) {
                    _ = tokenizer.decode(tokenizer.encode(text), skipSpecialTokens: true)
                }
                var decoder = IncrementalDecoder(tokenizer, skipSpecialTokens: false)
                for id in -2..<300 as Range<Int32> { _ = decoder.append(id) }
            } catch {
                #expect(!error.message.isEmpty)
            }
        }
    }

    @Test(arguments: [
        "bpe.model", "unigram.model", "bpe-symbols.model", "words.json", "few.json", "tiny.tiktoken",
    ])
    func `hostile text takes time near linear in its length`(_ name: String) throws {
        let tokenizer = try TokenizerFixtures.pieceTokenizer(name)
        let time = ContinuousClock().measure {
            for part in ["a", " ", "▁", "ab", "\u{301}", "中", "<", " b"] {
                _ = tokenizer.encode(String(repeating: part, count: 20_000))
            }
        }
        // Quadratic time would be minutes in a debug build.
        #expect(time < .seconds(40))
    }
}
