import Testing

@testable import Checkpoints

/// JSON of configuration files and headers.
@Suite struct JSONTests {
    private func parse(_ text: String) throws -> JSONValue {
        try JSONReader.parse(Array(text.utf8), file: "x.json")
    }

    @Test func `values keep what they say`() throws {
        let text =
            #" {"a": [1, -2.5e3, true, null], "é\n\u00e9\ud83d\ude00": "\"\\\/", "n": 18446744073709551616} "#
        let root = try #require(try parse(text).object)
        #expect(root["a"] == .array([.number("1"), .number("-2.5e3"), .bool(true), .null]))
        #expect(root["é\né😀"] == .string("\"\\/"))
        #expect(root["n"] == .number("18446744073709551616"))
        #expect(root["n"]?.int == nil)
        #expect(JSONValue.number("32.0").int == 32)
        #expect(JSONValue.number("1e30").int == nil)
        #expect(JSONValue.number("NaN").double == nil)
        #expect(JSONValue.number("1e999").double == nil)
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "01x", "+1", "1.", ".5", "1e", "--1", "nul",
        "tru", "[1 2]",
        "\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\u{1}\"", "{} x",
        "{\"a\":1,\"a\":2}",
        "Infinit", "'a'", "\u{feff}{}",
    ])
    func `what is no JSON is refused`(text: String) {
        #expect(throws: CheckpointError.self) { try parse(text) }
    }

    @Test func `bytes that are no text, and deep nesting, are refused`() {
        #expect(throws: CheckpointError.self) { try JSONReader.parse([0x22, 0xff, 0x22], file: "x") }
        #expect(throws: CheckpointError.self) { try parse(String(repeating: "[", count: 1_000_000)) }
        #expect(throws: Never.self) {
            try parse(String(repeating: "[", count: 60) + String(repeating: "]", count: 60))
        }
    }

    @Test func `accessors name file and key`() throws {
        let text =
            #"{"n": 0, "big": 1e30, "s": "x", "side": [4, 4], "odd": [4, 5], "null": null, "in": {"k": -1}}"#
        let section = try ConfigSection.parse(Array(text.utf8), file: "config.json")
        for key in ["n", "big", "s", "absent", "null"] {
            #expect {
                _ = try section.int(key, atLeast: 1, atMost: 10)
            } throws: { "\($0)".contains("config.json: \(key) ") }
        }
        #expect(try section.int("absent", atMost: 10, or: 3) == 3)
        #expect(try section.side("side", atMost: 10) == 4)
        #expect(throws: CheckpointError.self) { try section.side("odd", atMost: 10) }
        #expect { _ = try section.section("in")?.int("k", atMost: 2) } throws: {
            "\($0)".contains("in.k is -1")
        }
        #expect(try section.section("null") == nil)
    }
}
