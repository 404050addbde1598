import JSON
import Testing

/// Reading JSON piece by piece.
struct JSONCursorTests {
    private func skipProblem(_ text: String) -> String? {
        var cursor = JSONCursor(Array(text.utf8))
        do throws(JSONError) {
            try cursor.skip()
            try cursor.end()
            return nil
        } catch {
            return error.problem
        }
    }

    @Test func `members and elements come one by one, into one buffer`() throws {
        var cursor = JSONCursor(Array(#" { "a\u0062" : [ 1 , 20, [] ] , "é":{}, "c" : "x\ny" } "#.utf8))
        var key: [UInt8] = []
        var keys: [String] = []
        var numbers: [Int] = []
        var text: [UInt8] = [1, 2, 3]
        try cursor.openObject()
        while try cursor.nextKey(into: &key) {
            keys.append(String(decoding: key, as: UTF8.self))
            switch cursor.peek() {
            case UInt8(ascii: "["):
                try cursor.openArray()
                while try cursor.nextElement() {
                    if cursor.peek() == UInt8(ascii: "[") {
                        try cursor.skip()
                    } else {
                        numbers.append(try cursor.wholeNumber())
                    }
                }
            case UInt8(ascii: "\""): try cursor.string(into: &text)
            default: try cursor.skip()
            }
        }
        try cursor.end()
        #expect(keys == ["ab", "é", "c"] && numbers == [1, 20] && text == Array("x\ny".utf8))
    }

    @Test func `a cursor begins at a value within the text`() throws {
        let text = Array(#"{"a":[7],"b":8}"#.utf8)
        var cursor = JSONCursor(text, at: 5)
        #expect(try cursor.value() == .array([.int(7)]) && cursor.offset == 8)
    }

    @Test func `whole numbers are those that fit`() throws {
        func number(_ text: String) -> Int? {
            var cursor = JSONCursor(Array(text.utf8))
            return try? cursor.wholeNumber()
        }
        #expect(number("0") == 0 && number(" 9223372036854775807") == .max)
        for text in ["", "-1", "x", "9223372036854775808", "99999999999999999999999"] {
            #expect(number(text) == nil)
        }
        var cursor = JSONCursor(Array("01".utf8))
        #expect(try cursor.wholeNumber() == 0 && cursor.offset == 1)
    }

    @Test(arguments: [
        "{}", "[]", "[1,-2.5e+3,{\"a\":[null,true,false,\"\\u00e9\\n\"]}]", "\"x\"", " 1 ", "1e999",
    ])
    func `any value is skipped`(_ text: String) {
        #expect(skipProblem(text) == nil)
    }

    @Test(arguments: [
        ("", "a value"), ("[1,]", "a value"), ("{\"a\":1,}", "a key"), ("{\"a\" 1}", "':'"), ("[1 2]", "']'"),
        ("{\"a\":1.}", "a digit"), ("[01]", "']'"), ("[\"\\x\"]", "escape"), ("\"a", "end of the string"),
        ("\"\u{1}\"", "control"), ("{} x", "follows the end"), ("[+1]", "a value"), ("NaN", "a value"),
        ("\"\\ud800\"", "surrogate"), ("\"\\u12g4\"", "hexadecimal"),
    ])
    func `skipping checks the form and says what is wrong`(_ text: String, _ problem: String) {
        #expect(skipProblem(text)?.contains(problem) == true, "\(skipProblem(text) ?? "nothing")")
    }

    @Test func `skipping is bounded in depth`() {
        #expect(skipProblem(String(repeating: "[", count: 100_000))?.contains("deeply") == true)
        #expect(skipProblem(String(repeating: "{\"a\":", count: 100_000))?.contains("deeply") == true)
    }
}
