import Testing

@testable import Tokenizers

struct TokenizerFolderTests {
    private static let model = TokenizerFixtures.bytes("Tests/Fixtures/pieces/bpe.model")

    private static func load(_ files: [String: String], model: [UInt8]? = model) throws -> Tokenizer {
        let tokenizer = try TokenizerFolder.load { name in
            name == "tokenizer.model" ? model : files[name].map { Array($0.utf8) }
        }
        return try #require(tokenizer)
    }

    @Test func `a folder without a tokenizer gives none`() throws {
        let none = try TokenizerFolder.load { _ in nil }
        #expect(none == nil)
    }

    @Test func `tokenizer.json comes first`() throws {
        let tokenizer = try Self.load(["tokenizer.json": TinyTokenizer.json()])
        #expect(tokenizer.vocabularyCount == 5)
    }

    @Test func `a model alone puts its first token before every text`() throws {
        let tokenizer = try Self.load([:])
        #expect(tokenizer.encode("the", addSpecialTokens: true).first == 1)
        #expect(tokenizer.encode("<s>", parseSpecialTokens: true) == [1])
    }

    @Test func `the configuration names added tokens and what is put round a text`() throws {
        let tokenizer = try Self.load([
            "tokenizer_config.json": """
            {"tokenizer_class":"LlamaTokenizer","legacy":false,"add_bos_token":false,"add_eos_token":true,
             "eos_token":{"content":"</s>","lstrip":false},"additional_special_tokens":["<img>"],
             "added_tokens_decoder":{"900":{"content":"<img>","rstrip":true},
             "901":{"content":"<soft>","special":false}}}
            """,
            "added_tokens.json": #"{"<img>":900,"<more>":902}"#,
            "special_tokens_map.json": #"{"pad_token":"<more>"}"#,
        ])
        #expect(tokenizer.vocabularyCount == 903)
        #expect([900, 901, 902].map { tokenizer.isSpecial($0) } == [true, false, true])
        #expect(tokenizer.encode("<img>  <soft><more>", addSpecialTokens: true) == [900, 901, 902, 2])
        let the = tokenizer.encode("the")
        #expect(tokenizer.encode("<soft>the") != [901] + the)
    }

    @Test(arguments: [
        ("tokenizer_config.json", "{", "tokenizer_config.json: "),
        (
            "tokenizer_config.json", #"{"added_tokens_decoder":{"x":{"content":"a"}}}"#,
            "without id or content"
        ),
        ("tokenizer_config.json", #"{"add_bos_token":7}"#, "add_bos_token is neither"),
        ("tokenizer_config.json", #"{"bos_token":"<none>"}"#, "<none>"),
        ("added_tokens.json", #"{"<a>":-1}"#, "added_tokens.json: a token has no id"),
        ("added_tokens.json", #"{"<a>":2147483647}"#, "out of range"),
        ("added_tokens.json", #"{"<s>":5}"#, "spelled alike"),
    ])
    func `a malformed file is named`(_ file: String, _ text: String, _ reason: String) {
        do {
            _ = try Self.load([file: text])
            Issue.record("\(file) was taken")
        } catch {
            let message = (error as? TokenizerError)?.message ?? ""
            #expect(message.contains(reason), "\(message)")
        }
    }

    @Test(arguments: [("{}", false), (#"{"visual": null}"#, false), (#"{"visual": {"width": 48}}"#, true)])
    func `those of pictures are Qwen-VL's`(config: String, hasPictures: Bool) throws {
        let ranks = TokenizerFixtures.bytes("Tests/Fixtures/pieces/tiny.tiktoken")
        let files = ["qwen.tiktoken": ranks, "config.json": Array(config.utf8)]
        let tokenizer = try #require(try TokenizerFolder.load { files[$0] })
        let start = try #require(tokenizer.id(of: "<|endoftext|>"))
        #expect(tokenizer.id(of: "<img>") == (hasPictures ? start + 214 : nil))
        #expect((tokenizer.encode("<img>") == [start + 214]) == hasPictures)
    }

    @Test func `a file of ranks has Qwen's control tokens behind it`() throws {
        let ranks = TokenizerFixtures.bytes("Tests/Fixtures/pieces/tiny.tiktoken")
        let tokenizer = try #require(try TokenizerFolder.load { $0 == "qwen.tiktoken" ? ranks : nil })
        let start = try #require(tokenizer.id(of: "<|endoftext|>"))
        #expect(tokenizer.encode("<|im_start|><img>") == [start + 1, start + 214])
        #expect(tokenizer.encode("<|im_start|>", parseSpecialTokens: false).allSatisfy { $0 < start })
    }

    @Test(arguments: [
        "", "\n", "IQ== 0", "IQ==\n", "IQ== x\n", "I 0\n", "!!!! 0\n", "IQ== 99999999999\n",
        "IQ== 0\nIQ== 1\n",
    ])
    func `a malformed file of ranks is refused`(_ text: String) {
        #expect(throws: TokenizerError.self) { try Tokenizer(tiktoken: Array(text.utf8), specialTokens: []) }
    }

    @Test(arguments: ["internvl-qwen2-opengvlab", "internvl-llama-opengvlab"])
    func `vocab.json and merges.txt make the tokenizer that tokenizer.json makes`(folder: String) throws {
        func load(without hidden: [String]) throws -> Tokenizer {
            let tokenizer = try TokenizerFolder.load { name in
                hidden.contains(name)
                    ? nil : TokenizerFixtures.bytes("Tests/Fixtures/models/\(folder)/\(name)")
            }
            return try #require(tokenizer)
        }
        let names = ["special_tokens_map.json", "tokenizer.model"]
        let whole = try load(without: names)
        let parts = try load(without: names + ["tokenizer.json"])
        let texts = [
            "<|im_start|>user\n<img></img>\nWhat's this?<|im_end|>\n", "  two  spaces\r\n\n1234",
            "Zürich cafe\u{301} 東京 🙂",
            "def f(x):\n    return x**2  # comment", "",
        ]
        for text in texts {
            let ids = whole.encode(text)
            #expect(parts.encode(text) == ids)
            #expect(parts.decode(ids, skipSpecialTokens: true) == whole.decode(ids, skipSpecialTokens: true))
        }
        #expect(parts.vocabularyCount == whole.vocabularyCount)
    }

    @Test func `half of a pair, or a class that is not known, is refused`() {
        let vocabulary = #"{"a":0,"b":1,"ab":2}"#
        for files in [
            ["vocab.json": vocabulary],
            ["vocab.json": vocabulary, "merges.txt": "a b"],
            [
                "vocab.json": "[]", "merges.txt": "",
                "tokenizer_config.json": #"{"tokenizer_class":"GPT2Tokenizer"}"#,
            ],
        ] {
            #expect(throws: TokenizerError.self) {
                try TokenizerFolder.load { files[$0].map { Array($0.utf8) } }
            }
        }
    }
}
