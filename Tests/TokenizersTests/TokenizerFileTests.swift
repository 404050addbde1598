import TestRandom
import Testing

@testable import Tokenizers

/// What is not supported or malformed is refused with a message, and never traps.
struct TokenizerFileTests {
    private static func message(_ json: [UInt8]) -> String? {
        do throws(TokenizerError) {
            _ = try Tokenizer(json: json)
            return nil
        } catch {
            return error.message
        }
    }

    private static func message(_ json: String) -> String? { message(Array(json.utf8)) }

    @Test func `the smallest file loads`() {
        #expect(Self.message(TinyTokenizer.json()) == nil)
    }

    @Test func `pieces that end behind a space keep merges from crossing it, as the reference does`() throws {
        func tokenizer(_ preTokenizer: String) throws -> Tokenizer {
            let json = TinyTokenizer.json(
                vocabulary: #""<unk>":0,"a":1,"b":2," ":3,"a ":4," b":5," a":6,"  ":7"#,
                merges: #"[" ","b"],[" ","a"],[" "," "],["a"," "]"#, preTokenizer: preTokenizer,
                decoder: #"{"type":"Fuse"}"#, model: #""unk_token":"<unk>","#)
            return try Tokenizer(json: Array(json.utf8))
        }
        let split = try tokenizer(
            #"{"type":"Split","pattern":{"String":" "},"behavior":"MergedWithPrevious","invert":false}"#)
        let whole = try tokenizer("null")
        for (text, pieces, uncut) in [
            ("a b", [4, 2], [1, 5]), (" a  b", [3, 4, 3, 2], [6, 3, 5]),
            ("a   b ", [4, 3, 3, 2, 3], [1, 7, 5, 3]), ("b a a", [2, 3, 4, 1], [2, 6, 6]),
        ] as [(String, [Int32], [Int32])] {
            #expect(split.encode(text) == pieces, "\(text)")
            #expect(whole.encode(text) == uncut, "\(text)")
        }
        let inverted =
            #"{"type":"Split","pattern":{"String":" "},"behavior":"MergedWithPrevious","invert":true}"#
        #expect(Self.message(TinyTokenizer.json(preTokenizer: inverted)) != nil)
    }

    @Test(arguments: [
        (
            TinyTokenizer.json(normalizer: #"{"type":"Nmt"}"#),
            "the normalizer \"Nmt\" is not supported"
        ),
        (TinyTokenizer.json(normalizer: #"{"type":"Sequence","normalizers":[{"type":"NFKC"}]}"#), "\"NFKC\""),
        (
            TinyTokenizer.json(normalizer: #"{"type":"Replace","pattern":{"Regex":"a+"},"content":""}"#),
            "the normalizer Replace has a pattern"
        ),
        (TinyTokenizer.json(normalizer: #"{"type":"Prepend"}"#), "nothing to prepend"),
        (TinyTokenizer.json(preTokenizer: "null"), "the decoder \"ByteLevel\""),
        (TinyTokenizer.json(preTokenizer: #"{"type":"Punctuation"}"#), "the pre_tokenizer \"Punctuation\""),
        (TinyTokenizer.json(preTokenizer: #"{"type":"Metaspace","replacement":"__"}"#), "not one character"),
        (
            TinyTokenizer.json(
                preTokenizer: #"{"type":"Metaspace","replacement":"_","add_prefix_space":false}"#),
            "unknown or contradicted"
        ),
        (
            TinyTokenizer.json(
                preTokenizer: "null",
                decoder: #"{"type":"Strip","content":"x","start":1,"stop":0}"#),
            "the decoder \"Strip\" is not supported at its place"
        ),
        (
            TinyTokenizer.json(preTokenizer: #"{"type":"Split","pattern":{"Regex":"\\w+"}}"#),
            #"not known: \w+"#
        ),
        (TinyTokenizer.json(preTokenizer: #"{"type":"Split","pattern":{"String":" "}}"#), "no Regex"),
        (TinyTokenizer.json(decoder: "null"), "the decoder \"null\""),
        (TinyTokenizer.json(decoder: #"{"type":"Metaspace"}"#), "the decoder \"Metaspace\""),
        (TinyTokenizer.json(postProcessor: #"{"type":"BertProcessing"}"#), "\"BertProcessing\""),
        (TinyTokenizer.json(postProcessor: #"{"type":"TemplateProcessing","single":[]}"#), "exactly once"),
        (
            TinyTokenizer.json(
                postProcessor: #"{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}}]}"#),
            "without ids: <s>"
        ),
        (TinyTokenizer.json(model: #""byte_fallback":true,"#), "no token for some bytes"),
        (TinyTokenizer.json(model: #""dropout":0.1,"#), "dropout"),
        (TinyTokenizer.json(model: #""end_of_word_suffix":"</w>","#), "end_of_word_suffix"),
        (TinyTokenizer.json(model: #""unk_token":"<unk>","#), "unk_token"),
        (TinyTokenizer.json(model: #""ignore_merges":3,"#), "ignore_merges is neither"),
        (TinyTokenizer.json(merges: #""a c""#), "merge 0 has a part"),
        (TinyTokenizer.json(merges: #""b a""#), "merge 0 makes a token"),
        (TinyTokenizer.json(merges: #""a b b""#), "not two tokens"),
        (TinyTokenizer.json(merges: #"["a"]"#), "expected ','"),
        (TinyTokenizer.json(vocabulary: #""a":0,"b":0"#), "two tokens have the id 0"),
        (TinyTokenizer.json(vocabulary: #""a":0,"a":1"#), "spelled alike"),
        (TinyTokenizer.json(vocabulary: #""a":-1"#), "whole number"),
        (TinyTokenizer.json(vocabulary: #""a":2147483648"#), "31 bits"),
        (TinyTokenizer.json(vocabulary: #""a":2147483647"#), "out of range"),
        (TinyTokenizer.json(vocabulary: #""a":1.5"#), "expected '}'"),
        (TinyTokenizer.json(vocabulary: #""\ud800":1"#), "surrogate"),
        (TinyTokenizer.json(vocabulary: #""\x":1"#), "escape"),
        (TinyTokenizer.json(added: #"{"id":9}"#), "lacks"),
        (TinyTokenizer.json(added: #"{"id":1e30,"content":"x"}"#), "lacks"),
        (TinyTokenizer.json(added: #"{"id":7,"content":"ab"}"#), "but 2 in the vocabulary"),
        (TinyTokenizer.json(added: #"{"id":1,"content":"new"}"#), "two tokens have the id 1"),
        ("", "not a JSON object"),
        ("[]", "not a JSON object"),
        ("{}", "lacks its vocab"),
        ("{} x", "follows the end"),
        (#"{"model":{"type":"Unigram","vocab":[["a",0.5]]}}"#, "unk_id"),
        (#"{"model":{"type":"Unigram","unk_id":0,"vocab":[["a",0.5],["b"]]}}"#, "expected ','"),
        (#"{"model":{"type":"WordPiece","vocab":{}}}"#, "the model \"WordPiece\""),
    ])
    func `is refused with its reason`(_ json: String, _ reason: String) {
        let message = Self.message(json)
        #expect(message?.contains(reason) == true, "\(message ?? "no error")")
    }

    @Test func `another kind of model is named`() {
        let json = TinyTokenizer.json().utf8
        let unigram = String(decoding: json, as: UTF8.self).split(separator: "BPE").joined(
            separator: "Unigram")
        #expect(Self.message(unigram)?.contains("the model is Unigram at the byte level") == true)
    }

    @Test func `deep nesting is refused wherever it is`() {
        let depth = 200_000
        let deep = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        for json in [
            "{\"x\":\(deep)}", "{\"model\":{\"x\":\(deep)}}", "{\"model\":{\"vocab\":\(deep)}}",
            "{\"x\":" + String(repeating: "{\"a\":", count: depth),
        ] {
            #expect(Self.message(json)?.contains("deeply") == true)
        }
        let stages = #"{"type":"Sequence","pretokenizers":["#
        let nested =
            String(repeating: stages, count: 30) + TinyTokenizer.byteLevel
            + String(repeating: "]}", count: 30)
        #expect(Self.message(TinyTokenizer.json(preTokenizer: nested)) == nil)
    }

    @Test func `every cut of a file is refused`() {
        let json = TokenizerFixtures.bytes("Tests/Fixtures/tokenizers/sparse.json")
        // The last byte is a line end.
        for count in 0..<json.count - 1 { #expect(Self.message(Array(json[..<count])) != nil) }
    }

    @Test func `damaged files load or are refused, and what loads encodes`() throws {
        var generator = SeededRandom(seed: 3)
        let flags = TokenizerFixtures.bytes("Tests/Fixtures/tokenizers/flags.json")
        let sparse = TokenizerFixtures.bytes("Tests/Fixtures/tokenizers/sparse.json")
        let letters = Array("{}[]\",:\\0123456789-.eutfn\u{e9}".utf8)
        for round in 0..<1_500 {
            var json = round % 50 == 0 ? flags : sparse
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: 0..<json.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: json[place] = letters.randomElement(using: &generator) ?? 0
                case 1: json.remove(at: place)
                default: json[place] = UInt8.random(in: 0...255, using: &generator)
                }
            }
            do throws(TokenizerError) {
                let tokenizer = try Tokenizer(json: json)
                let ids = tokenizer.encode("abc aabc <left> word 12\n", addSpecialTokens: true)
                _ = tokenizer.decode(ids, skipSpecialTokens: true)
            } catch {
                #expect(!error.message.isEmpty)
            }
        }
    }
}
