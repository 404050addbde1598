import Testing

@testable import Tokenizers

/// Every answer is the one of the `tokenizers` library.
struct GoldenTests {
    private typealias Fixtures = TokenizerFixtures

    @Test(arguments: TokenizerFixtures.goldens)
    func `ids are the reference's with special tokens parsed`(_ golden: TokenizerFixtures.Golden) throws {
        try compare(golden, golden.parsed) { tokenizer, text in Fixtures.hash(tokenizer.encode(text)) }
    }

    @Test(arguments: TokenizerFixtures.goldens)
    func `ids are the reference's with special tokens as plain text`(_ golden: TokenizerFixtures.Golden)
        throws
    {
        try compare(golden, golden.plain) { tokenizer, text in
            Fixtures.hash(tokenizer.encode(text, parseSpecialTokens: false))
        }
    }

    @Test(arguments: TokenizerFixtures.goldens)
    func `ids are the reference's with special tokens added`(_ golden: TokenizerFixtures.Golden) throws {
        try compare(golden, golden.framed) { tokenizer, text in
            Fixtures.hash(tokenizer.encode(text, addSpecialTokens: true))
        }
    }

    @Test(arguments: TokenizerFixtures.goldens)
    func `encoded texts decode to what the reference gives`(_ golden: TokenizerFixtures.Golden) throws {
        try compare(golden, golden.decoded) { tokenizer, text in
            Fixtures.hash(tokenizer.decode(tokenizer.encode(text), skipSpecialTokens: false))
        }
    }

    @Test(arguments: TokenizerFixtures.goldens)
    func `random ids decode to what the reference gives`(_ golden: TokenizerFixtures.Golden) throws {
        let sequences = Fixtures.sequences(400, limit: golden.vocabularyCount)
        for file in golden.files {
            let tokenizer = try Tokenizer(json: Fixtures.bytes(file))
            for (skip, packed) in [(false, golden.random), (true, golden.randomWithoutSpecial)] {
                let found = sequences.map { Fixtures.hash(tokenizer.decode($0, skipSpecialTokens: skip)) }
                #expect(found == Fixtures.hashes(packed))
            }
        }
    }

    @Test(arguments: TokenizerFixtures.goldens)
    func `a sentence has the ids spelled out in the golden file`(_ golden: TokenizerFixtures.Golden) throws {
        let tokenizer = try Tokenizer(json: Fixtures.bytes(golden.files[0]))
        #expect(tokenizer.encode(golden.example.text) == golden.example.ids)
        #expect(tokenizer.vocabularyCount == golden.vocabularyCount)
    }

    private func compare(
        _ golden: TokenizerFixtures.Golden, _ packed: String, _ answer: (Tokenizer, String) -> UInt32
    ) throws {
        let wanted = Fixtures.hashes(packed)
        #expect(wanted.count >= 400 && wanted.count <= Fixtures.texts.count)
        for file in golden.files {
            let tokenizer = try Tokenizer(json: Fixtures.bytes(file))
            let wrong = zip(Fixtures.texts, wanted).filter { answer(tokenizer, $0) != $1 }.map(\.0)
            #expect(
                wrong.isEmpty,
                "\(file): \(wrong.count) of \(wanted.count), first \(wrong.prefix(5).debugDescription)")
        }
    }
}
