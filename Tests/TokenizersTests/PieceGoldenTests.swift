import Testing

@testable import Tokenizers

/// Every answer is the one of the library that the file is written for.
struct PieceGoldenTests {
    private typealias Fixtures = TokenizerFixtures

    @Test(arguments: TokenizerFixtures.pieceGoldens)
    func `ids are the reference's with special tokens parsed`(_ golden: TokenizerFixtures.Golden) throws {
        try compare(golden, golden.parsed) { tokenizer, text in Fixtures.hash(tokenizer.encode(text)) }
    }

    @Test(arguments: TokenizerFixtures.pieceGoldens)
    func `ids are the reference's with special tokens as plain text`(_ golden: TokenizerFixtures.Golden)
        throws
    {
        try compare(golden, golden.plain) { tokenizer, text in
            Fixtures.hash(tokenizer.encode(text, parseSpecialTokens: false))
        }
    }

    @Test(arguments: TokenizerFixtures.pieceGoldens)
    func `ids are the reference's with special tokens added`(_ golden: TokenizerFixtures.Golden) throws {
        try compare(golden, golden.framed) { tokenizer, text in
            Fixtures.hash(tokenizer.encode(text, addSpecialTokens: true))
        }
    }

    @Test(arguments: TokenizerFixtures.pieceGoldens)
    func `encoded texts decode to what the reference gives`(_ golden: TokenizerFixtures.Golden) throws {
        try compare(golden, golden.decoded) { tokenizer, text in
            Fixtures.hash(tokenizer.decode(tokenizer.encode(text), skipSpecialTokens: true))
        }
    }

    @Test(arguments: TokenizerFixtures.pieceGoldens)
    func `random ids decode to what the reference gives`(_ golden: TokenizerFixtures.Golden) throws {
        let tokenizer = try Fixtures.tokenizer(at: golden.files[0])
        let isJSON = golden.files[0].hasSuffix(".json")
        let found = Fixtures.sequences(400, limit: golden.vocabularyCount).map { ids in
            // `tokenizers` gives up a whole run of bytes with an ill-formed character, so that these are left
            // out.
            let kept = ids.filter { id in
                guard isJSON, let bytes = tokenizer.bytes(of: id) else { return true }
                return bytes.count != 1 || bytes[0] < 0x80
            }
            return Fixtures.hash(tokenizer.decode(kept, skipSpecialTokens: true))
        }
        #expect(found == Fixtures.hashes(golden.randomWithoutSpecial))
    }

    @Test(arguments: TokenizerFixtures.pieceGoldens)
    func `a sentence has the ids spelled out in the golden file`(_ golden: TokenizerFixtures.Golden) throws {
        let tokenizer = try Fixtures.tokenizer(at: golden.files[0])
        #expect(tokenizer.encode(golden.example.text) == golden.example.ids)
        #expect(tokenizer.vocabularyCount == golden.vocabularyCount)
    }

    @Test(arguments: TokenizerFixtures.pieceGoldens)
    func `the parts together are the whole`(_ golden: TokenizerFixtures.Golden) throws {
        let tokenizer = try Fixtures.tokenizer(at: golden.files[0])
        // The first ids of these vocabularies are special tokens and bytes: most runs of them are ill-formed.
        let limits = [golden.vocabularyCount, min(golden.vocabularyCount, 262), 8]
        for ids in limits.flatMap({ Fixtures.sequences(700, limit: $0) }) {
            for skip in [false, true] {
                var decoder = IncrementalDecoder(tokenizer, skipSpecialTokens: skip)
                var parts: [UInt8] = []
                for id in ids {
                    let part = decoder.append(id)
                    #expect((try? UTF8Span(validating: part.span)) != nil)
                    parts += part
                }
                parts += decoder.finish()
                #expect(parts == Array(tokenizer.decode(ids, skipSpecialTokens: skip).utf8))
            }
        }
    }

    private func compare(
        _ golden: TokenizerFixtures.Golden, _ packed: String, _ answer: (Tokenizer, String) -> UInt32
    ) throws {
        let wanted = Fixtures.hashes(packed)
        let texts = Fixtures.pieceTexts
        #expect(wanted.count == texts.count || wanted.count == 400)
        let tokenizer = try Fixtures.tokenizer(at: golden.files[0])
        let wrong = zip(texts, wanted).filter { answer(tokenizer, $0) != $1 }.map(\.0)
        #expect(
            wrong.isEmpty,
            "\(golden): \(wrong.count) of \(wanted.count), first \(wrong.prefix(5).debugDescription)")
    }
}
