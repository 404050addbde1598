import JSON
import Testing

/// Writing JSON.
struct JSONWriterTests {
    @Test func `what is written is read again as it was`() {
        let texts = ["", "a\"b\\c/d", "\u{0}\u{1f}\u{7f}\n\r\t", "é😀\u{202e}"]
        let bytes = JSONWriter.bytes { json in
            json.object { json in
                json.array("texts") { json in
                    for text in texts { json.string(text) }
                }
                json.member("int", -5)
                json.member("number", Float(0.25))
                json.member("none", nil)
                json.member("flag", true)
                json.object("empty") { _ in }
                json.member("infinite", Float.infinity)
            }
        }
        var expected = JSONObject()
        expected.set("texts", .array(texts.map { .string($0) }))
        expected.set("int", .int(-5))
        expected.set("number", .double(0.25))
        expected.set("none", .null)
        expected.set("flag", .bool(true))
        expected.set("empty", .object(JSONObject()))
        expected.set("infinite", .null)
        #expect((try? JSONValue(reading: bytes)) == .object(expected))
    }
}
