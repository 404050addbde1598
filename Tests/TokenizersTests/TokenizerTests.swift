import TestRandom
import Testing

@testable import Tokenizers

struct TokenizerTests {
    @Test func `tokens are found by their stored form and give their bytes`() throws {
        let tokenizer = try TokenizerFixtures.tokenizer("flags")
        let the = try #require(tokenizer.id(of: "Ġthe"))
        #expect(tokenizer.bytes(of: the) == Array(" the".utf8))
        #expect(tokenizer.id(of: " the") == nil)
        let call = try #require(tokenizer.id(of: "tool▁call"))
        #expect(tokenizer.bytes(of: call) == Array("tool▁call".utf8))
        #expect(tokenizer.bytes(of: -1) == nil)
        #expect(tokenizer.bytes(of: Int32(tokenizer.vocabularyCount)) == nil)
        #expect(tokenizer.bytes(of: .max) == nil)
    }

    @Test func `only control tokens are special`() throws {
        let tokenizer = try TokenizerFixtures.tokenizer("flags")
        for token in tokenizer.addedTokens {
            #expect(tokenizer.isSpecial(token.id) == token.isSpecial)
            #expect(tokenizer.id(of: token.content) == token.id)
        }
        #expect(!tokenizer.isSpecial(0))
        #expect(!tokenizer.isSpecial(-5))
    }

    @Test func `spellings that are canonically equal stay apart`() throws {
        let json = TinyTokenizer.json(added: #"{"id":5,"content":"▁é"},{"id":6,"content":"▁e\u0301"}"#)
        let tokenizer = try Tokenizer(json: Array(json.utf8))
        #expect(tokenizer.id(of: "▁\u{e9}") == 5)
        #expect(tokenizer.id(of: "▁e\u{301}") == 6)
        #expect(tokenizer.encode("▁\u{e9}▁e\u{301}") == [5, 6])
    }

    @Test func `merges are read in both spellings`() throws {
        for merges in [#""a b","Ġ ab""#, #"["a","b"],["Ġ","ab"]"#, #"["\u0061","b"],["\u0120","ab"]"#] {
            let tokenizer = try Tokenizer(json: Array(TinyTokenizer.json(merges: merges).utf8))
            #expect(tokenizer.encode("ab ab aa") == [2, 4, 3, 0, 0])
        }
    }

    @Test func `user text cannot make a special token`() throws {
        let json = TinyTokenizer.json(
            added: #"{"id":5,"content":"ab","special":true},{"id":6,"content":"ba"}"#)
        let withoutVocabulary = json.split(separator: #""ab":2,"#).joined().split(separator: #","Ġab":4"#)
            .joined()
        let tokenizer = try Tokenizer(json: Array(withoutVocabulary.utf8))
        #expect(tokenizer.encode("ab") == [5])
        #expect(tokenizer.encode("ab", parseSpecialTokens: false) == [0, 1])
        #expect(tokenizer.encode("baab", parseSpecialTokens: false) == [6, 0, 1])
    }

    @Test func `long words merge as short ones do`() throws {
        let tokenizer = try TokenizerFixtures.tokenizer("gpt2")
        var generator = SeededRandom(seed: 5)
        let letters = Array("etaoinshr".unicodeScalars)
        for count in [63, 64, 65, 66, 100, 300] {
            var word = String.UnicodeScalarView()
            for _ in 0..<count { word.append(letters.randomElement(using: &generator) ?? "e") }
            #expect(tokenizer.encode(String(word)) == Self.mergedPlainly(Array(String(word).utf8), tokenizer))
        }
    }

    @Test func `a hostile word takes time near linear in its length`() throws {
        let tokenizer = try TokenizerFixtures.tokenizer("smollm2")
        let time = ContinuousClock().measure {
            #expect(!tokenizer.encode(String(repeating: "a", count: 100_000)).isEmpty)
            #expect(!tokenizer.encode(String(repeating: " ", count: 100_000)).isEmpty)
        }
        // Quadratic time would be minutes in a debug build.
        #expect(time < .seconds(30))
    }

    @Test func `many threads may encode at once`() async throws {
        let tokenizer = try TokenizerFixtures.tokenizer("llama3")
        let texts = Array(TokenizerFixtures.texts.prefix(400))
        let wanted = texts.map { tokenizer.encode($0) }
        await withTaskGroup(of: [[Int32]].self) { group in
            for _ in 0..<6 { group.addTask { texts.map { tokenizer.encode($0) } } }
            for await found in group { #expect(found == wanted) }
        }
    }

    /// The definition, spelled out: the lowest rank anywhere first, the leftmost of equals.
    private static func mergedPlainly(_ word: [UInt8], _ tokenizer: Tokenizer) -> [Int32] {
        let json = TokenizerFixtures.bytes("Tests/Fixtures/tokenizers/gpt2.json")
        guard case .bytePair(let model) = try? TokenizerParts(json: json).model else { return [] }
        var symbols = word.map { model.byteIDs[Int($0)] }
        while true {
            let merges = zip(symbols, symbols.dropFirst()).map { model.merges.merge($0, $1) }
            guard let best = merges.indices.min(by: { merges[$0].rank < merges[$1].rank }),
                merges[best].id >= 0
            else {
                return symbols
            }
            symbols.replaceSubrange(best...best + 1, with: [merges[best].id])
        }
    }

    @Test(arguments: [
        #"{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}"#,
        #"{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}"#,
    ])
    func `a piece of which nothing is left gives no token`(preTokenizer: String) throws {
        let json = TinyTokenizer.json(
            vocabulary: #""a":0,"b":1,"ab":2,"Ġ":3,"Ġab":4,"▁":7,"▁ab":8"#,
            added: ##"{"id":5,"content":"<s>","special":true},{"id":6,"content":"#","special":true}"##,
            normalizer: #"{"type":"Strip","strip_left":true,"strip_right":true}"#, preTokenizer: preTokenizer,
            decoder: preTokenizer)
        let tokenizer = try Tokenizer(json: Array(json.utf8))
        let scalar = try #require(Unicode.Scalar(0xfdd0 as UInt32)), mark = String(scalar)
        #expect(tokenizer.encode("   ") == [])
        let shield = tokenizer.shield(alsoFrom: ["<image>"])
        // A token of one character cannot be shielded; what is between it and the next is the shield alone.
        let shielded = shield.applied(to: "#", scalar)
        #expect(shielded == "#\(mark)" && tokenizer.encode(shielded + "<s>", shield: scalar) == [6, 5])
        // A spelling, one within another, one that goes on in the next text, and what is none.
        for (text, expected) in [
            ("<s>", "<\(mark)s>"), ("<<s>", "<<\(mark)s>"), ("ab <s", "ab <\(mark)s"),
            ("< \n", "<\(mark) \n"),
            ("<image>", "<\(mark)image>"), ("<imag", "<\(mark)imag"), ("<x ab", "<x ab"), ("ab", "ab"),
            ("", ""),
        ] {
            #expect(shield.applied(to: text, scalar) == expected)
            #expect(
                tokenizer.encode(shield.applied(to: text, scalar), shield: scalar)
                    == tokenizer.encode(text, parseSpecialTokens: false))
        }
    }
}
