import JSON
import Testing

/// Reading JSON strictly, as of requests.
struct JSONValueTests {
    private func read(_ text: String) -> JSONValue? { try? JSONValue(reading: Array(text.utf8)) }

    private func failure(_ bytes: [UInt8]) -> JSONError.Kind? {
        do throws(JSONError) {
            _ = try JSONValue(reading: bytes)
            return nil
        } catch {
            return error.kind
        }
    }

    @Test func `values of every kind are read`() {
        #expect(read(" null ") == .null)
        #expect(read("true") == .bool(true) && read("false") == .bool(false))
        #expect(read("-0") == .int(0) && read("12") == .int(12) && read("9223372036854775807") == .int(.max))
        #expect(read("9223372036854775808") == .double(9_223_372_036_854_775_808))
        #expect(read("1.5e3") == .double(1_500) && read("2E-1") == .double(0.2))
        #expect(read("[1, [ ], {}]") == .array([.int(1), .array([]), .object(JSONObject())]))
        #expect(read(#""a\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00""#) == .string("a\"\\/\u{8}\u{c}\n\r\tAé😀"))
        #expect(read(#""\u0000""#) == .string("\0"))
    }

    @Test(arguments: [
        "", " ", "{", "}", "[", "[1", "[1,", "[1,]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}",
        "{} trailing", "nul",
        "True", "NaN", "Infinity", "-Infinity", "-", "+1", "01", "1.", ".5", "1e", "1e+", "0x10", "'a'",
        "\"a", "\"\\x\"",
        "\"\\u12\"", "\"\\u12g4\"", "\"a\nb\"", "\"\t\"", "[1 2]", "{\"a\" 1}", "//c\n1", "\u{feff}{}",
        "{\"inputs\":",
    ])
    func `what is not JSON is refused`(_ text: String) {
        #expect(failure(Array(text.utf8)) == .syntax)
    }

    @Test func `bytes that are not UTF-8 are refused`() {
        for bytes: [UInt8] in [
            [0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf8, 0x88, 0x80, 0x80, 0x80], [0xe9],
        ] {
            #expect(failure([0x22] + bytes + [0x22]) == .invalidUTF8)
        }
        let utf16 = Array("{}".utf16).flatMap { [UInt8($0 & 0xff), UInt8($0 >> 8)] }
        #expect(failure([0xff, 0xfe] + utf16) == .syntax)
        #expect(failure(utf16) == .syntax)
    }

    @Test(arguments: [
        #""\ud800""#, #""\udc00\ud83d""#, #""\ud83d""#, #""\ud83dx""#, #""\ud83d\n""#, #""\ud83d\u0041""#,
    ])
    func `half of a surrogate pair is refused`(_ text: String) {
        #expect(failure(Array(text.utf8)) == .loneSurrogate)
    }

    @Test func `an error names the outermost key it lies under`() {
        #expect(throws: JSONError(kind: .loneSurrogate, offset: 31, key: "messages")) {
            try JSONValue(reading: Array(#"{"a":1,"messages":[{"x":"\ud800"}]}"#.utf8))
        }
    }

    @Test func `numbers out of range are refused and never trap`() {
        for text in ["1e400", "-1e400", "1e999999999", String(repeating: "9", count: 2_000)] {
            #expect(failure(Array(text.utf8)) == .numberOutOfRange)
        }
        #expect(read("1e30")?.int == nil && read("1e30")?.double == 1e30)
        #expect(read("2.0")?.int == 2 && read("1.5")?.int == nil && read("1e-999") == .double(0))
    }

    @Test func `nesting is bounded`() {
        func nested(_ count: Int) -> [UInt8] {
            Array((String(repeating: "[", count: count) + String(repeating: "]", count: count)).utf8)
        }
        #expect(failure(nested(64)) == nil)
        #expect(failure(nested(65)) == .tooDeep)
        #expect(failure(Array(("{\"messages\":" + String(repeating: "[", count: 100_000)).utf8)) == .tooDeep)
        #expect(failure(Array(String(repeating: "{\"a\":", count: 100_000).utf8)) == .tooDeep)
    }

    @Test func `of equal keys the last one counts and the order stays`() throws {
        guard case .object(let object)? = read(#"{"b":1,"a":2,"b":3}"#) else {
            throw JSONError(kind: .syntax, offset: 0, key: nil)
        }
        #expect(object.members.map(\.key) == ["b", "a"])
        #expect(object["b"] == .int(3) && object["c"] == nil)
    }

    @Test func `a million elements take little time`() {
        let text = "[" + String(repeating: "1,", count: 999_999) + "1]"
        let time = ContinuousClock().measure { #expect(read(text) != nil) }
        #expect(time < .seconds(20))
    }

    @Test func `accessors give what a value is`() {
        #expect(JSONValue.double(32).int == 32 && JSONValue.int(32).double == 32)
        #expect(JSONValue.double(.nan).double == nil && JSONValue.double(.infinity).int == nil)
        #expect(read(#"{"a":{"b":"x"}}"#)?["a"]["b"].string == "x")
        #expect(read("[true]")?.array?.first?.bool == true && read("[]")?["a"].isNull == true)
    }

    @Test func `keys are told apart by their bytes, few or many`() {
        for count in [2, 100] {
            var object = JSONObject()
            for number in 0..<count { object.set("\(number)", .int(number)) }
            object.set("é", .int(-1))
            object.set("e\u{301}", .int(-2))
            object.set("0", .int(-3))
            #expect(object.members.count == count + 2 && object.members.first?.value == .int(-3))
            #expect(object["é"] == .int(-1) && object["e\u{301}"] == .int(-2) && object["-"] == nil)
        }
    }
}
