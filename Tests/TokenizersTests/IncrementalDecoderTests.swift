import TestRandom
import Testing

@testable import Tokenizers

struct IncrementalDecoderTests {
    /// A tokenizer whose ids 0 to 255 are the bytes, and 256 a special token.
    private static func byteTokenizer() throws -> Tokenizer {
        let vocabulary = ByteAlphabet.scalars.enumerated().map { byte, scalar in
            let text =
                scalar == 0x22 || scalar == 0x5C
                ? "\\\(UnicodeScalar(scalar) ?? "?")" : "\(UnicodeScalar(scalar) ?? "?")"
            return "\"\(text)\":\(byte)"
        }
        return try Tokenizer(
            json: Array(
                TinyTokenizer.json(
                    vocabulary: vocabulary.joined(separator: ","),
                    added: #"{"id":256,"content":"<end>","special":true}"#
                ).utf8))
    }

    private static func bytes(of ids: [Int32], _ decoder: IncrementalDecoder) -> [UInt8] {
        var decoder = decoder
        return ids.flatMap { decoder.append($0) } + decoder.finish()
    }

    @Test func `the parts together are the whole, for any bytes in any tokens`() throws {
        let tokenizer = try Self.byteTokenizer()
        var generator = SeededRandom(seed: 1)
        let edges: [Int32] = [
            0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED,
            0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF, 256,
        ]
        for _ in 0..<20_000 {
            let ids = (0..<Int.random(in: 0...9, using: &generator)).map { _ in
                edges.randomElement(using: &generator) ?? 0
            }
            for skip in [false, true] {
                let whole = tokenizer.decode(ids, skipSpecialTokens: skip)
                #expect(
                    Self.bytes(of: ids, IncrementalDecoder(tokenizer, skipSpecialTokens: skip))
                        == Array(whole.utf8))
            }
            let raw = ids.filter { $0 < 256 }.map { UInt8($0) }
            #expect(
                Array(tokenizer.decode(ids, skipSpecialTokens: true).utf8)
                    == Array(String(decoding: raw, as: UTF8.self).utf8))
        }
    }

    @Test(arguments: ["gpt2", "llama3", "flags", "smollm2"])
    func `the parts together are the whole, for random tokens`(_ name: String) throws {
        let tokenizer = try TokenizerFixtures.tokenizer(name)
        for ids in TokenizerFixtures.sequences(2_000, limit: tokenizer.vocabularyCount) {
            let whole = tokenizer.decode(ids, skipSpecialTokens: true)
            #expect(
                Self.bytes(of: ids, IncrementalDecoder(tokenizer, skipSpecialTokens: true))
                    == Array(whole.utf8))
        }
    }

    @Test func `every part is well-formed, and only an incomplete character waits`() throws {
        let tokenizer = try Self.byteTokenizer()
        for text in TokenizerFixtures.texts {
            var decoder = IncrementalDecoder(tokenizer, skipSpecialTokens: true)
            for scalar in text.unicodeScalars {
                let bytes = Array(String(scalar).utf8)
                for byte in bytes.dropLast() { #expect(decoder.append(Int32(byte)).isEmpty) }
                #expect(decoder.append(Int32(bytes.last ?? 0)) == bytes)
            }
            #expect(decoder.finish().isEmpty)
        }
    }

    @Test func `a special token that is left out does not break a character`() throws {
        var decoder = IncrementalDecoder(try Self.byteTokenizer(), skipSpecialTokens: true)
        #expect([0xE4, 256, 0xB8, 0xAD].flatMap { decoder.append($0) } == Array("中".utf8))
    }
}
