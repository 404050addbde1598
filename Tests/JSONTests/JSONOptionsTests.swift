import JSON
import Testing

/// Reading JSON as of configuration files: Python's numbers pass, a key that comes twice does not.
struct JSONOptionsTests {
    private func parse(_ text: String) throws(JSONError) -> JSONValue {
        try JSONValue(
            reading: Array(text.utf8),
            options: JSONOptions(refusesDuplicateKeys: true, acceptsNonFinite: true))
    }

    @Test func `values keep what they say`() throws {
        let text =
            #" {"a": [1, -2.5e3, true, null], "é\n\u00e9\ud83d\ude00": "\"\\\/", "n": 18446744073709551616} "#
        let root = try #require(try parse(text).object)
        #expect(root["a"] == .array([.int(1), .double(-2.5e3), .bool(true), .null]))
        #expect(root["é\né😀"] == .string("\"\\/"))
        #expect(root["n"] == .double(18_446_744_073_709_551_616))
        #expect(root["n"]?.int == nil)
        #expect(try parse("32.0").int == 32)
        #expect(try parse("1e30").int == nil)
        for text in ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"] {
            #expect(try parse(text).double == nil && parse(text).int == nil)
        }
        #expect(try parse("-Infinity") == .double(-.infinity) && parse("1e999") == .double(.infinity))
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "01x", "+1", "1.", ".5", "1e", "--1", "nul",
        "tru", "[1 2]",
        "\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\u{1}\"", "{} x",
        "{\"a\":1,\"a\":2}",
        "Infinit", "-Inf", "nan", "+Infinity", "'a'", "\u{feff}{}", "01",
    ])
    func `what is no JSON is refused`(text: String) {
        #expect(throws: JSONError.self) { try parse(text) }
    }

    @Test func `bytes that are no text, deep nesting and a key that is there twice are refused`() {
        #expect(throws: JSONError.self) { try JSONValue(reading: [0x22, 0xff, 0x22]) }
        #expect(throws: JSONError.self) { try parse(String(repeating: "[", count: 1_000_000)) }
        #expect(throws: Never.self) {
            try parse(String(repeating: "[", count: 60) + String(repeating: "]", count: 60))
        }
        #expect(throws: JSONError(kind: .duplicateKey("b"), offset: 18, key: "a")) {
            try parse(#"{"a":{"b":1, "b" : 2}}"#)
        }
    }

    @Test func `nesting is bounded by the option`() {
        let text = Array("[[[]]]".utf8)
        #expect(throws: Never.self) { try JSONValue(reading: text, options: JSONOptions(maxDepth: 3)) }
        #expect(throws: JSONError(kind: .tooDeep, offset: 3)) {
            try JSONValue(reading: text, options: JSONOptions(maxDepth: 2))
        }
    }
}
