import Foundation
import Testing

@testable import Images

/// Strict base64 and data URLs.
struct Base64Tests {
    private func decode(_ text: String) -> [UInt8]? { try? Base64.decode(Array(text.utf8)) }

    @Test func `every length and every byte decodes`() throws {
        for count in 0..<200 {
            let bytes = ImageFixtures.noise(count, seed: count)
            #expect(try Base64.decode(Array(Data(bytes).base64EncodedString().utf8)) == bytes)
        }
        let all = (0...255).map { UInt8($0) }
        #expect(try Base64.decode(Array(Data(all).base64EncodedString().utf8)) == all)
    }

    @Test(arguments: [
        "A", "AA", "AAA", "====", "===", "=", "AAAA====", "AAAA,AAAA", "-_-_", "AA AA", "AAAA AAAA", " AAAA",
        "AAAA ",
        "AAAA\n", "AAAA\r\nAAAA", "AA=A", "A===", "=AAA", "AAAA=AAA", "AA==AAAA", "AB==", "AAB=", "AAA\u{e9}",
        "AAA\0",
        "AAA*", "AAA.", "AAAAA", "AA==\n", "AAA=A", "AAAA=",
    ])
    func `anything else is refused`(_ text: String) {
        #expect(throws: ImageError.invalidBase64) { try Base64.decode(Array(text.utf8)) }
    }

    @Test func `each of the other bytes is refused at each place`() {
        let alphabet = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        for byte in (0...255).map({ UInt8($0) }) {
            for place in 0..<4 {
                var text = Array("AAAABBBB".utf8)
                text[place] = byte
                #expect(((try? Base64.decode(text)) != nil) == alphabet.contains(byte))
            }
        }
    }

    @Test func `padding keeps the bytes it should`() {
        #expect(decode("QQ==") == [0x41])
        #expect(decode("QUI=") == [0x41, 0x42])
        #expect(decode("QUJD") == [0x41, 0x42, 0x43])
        #expect(decode("") == [])
    }

    @Test func `a data URL gives type and bytes`() throws {
        let url = try DataURL(parsing: Array("data:image/png;base64,QUJD".utf8))
        #expect(url.mediaType == "image/png" && url.bytes == [0x41, 0x42, 0x43])
        let upper = try DataURL(parsing: Array("DATA:Image/SVG+XML;BASE64,QQ==".utf8))
        #expect(upper.mediaType == "image/svg+xml" && upper.bytes == [0x41])
    }

    @Test(arguments: [
        "", "data:", "data:,", "data:image/png;base64", "data:image/png,QUJD", "data:;base64,QUJD",
        "data:text/html;base64,QUJD", "data:image/;base64,QUJD", "data:image/png;charset=utf-8;base64,QUJD",
        "data:image/png;base64;x,QUJD", "data:image/png ;base64,QUJD", " data:image/png;base64,QUJD",
        "http://h/x.png", "data:image/png;base64:QUJD", "data:video/jpeg;base64,QUJD", "dat",
        "data:image/p/ng;base64,QUJD", "data:image/\u{e9};base64,QUJD",
    ])
    func `a URL of another form is refused`(_ text: String) {
        #expect(throws: ImageError.invalidDataURL) { try DataURL(parsing: Array(text.utf8)) }
    }

    @Test func `a payload with a second comma, or none, is refused`() {
        #expect(throws: ImageError.invalidBase64) {
            try DataURL(parsing: Array("data:image/png;base64,AAAA,AAAA".utf8))
        }
        #expect(throws: ImageError.empty) { try DataURL(parsing: Array("data:image/png;base64,".utf8)) }
    }

    @Test func `a payload over the limit is refused before it is decoded`() {
        let text = Array("data:image/png;base64,".utf8) + Array(repeating: UInt8(ascii: "*"), count: 400)
        #expect(throws: ImageError.tooManyBytes(count: 300, limit: 100)) {
            try DataURL(parsing: text, limits: ImageLimits(maxByteCount: 100))
        }
        let exact = Array("data:image/png;base64,QUJDRA==".utf8)
        #expect(throws: ImageError.tooManyBytes(count: 4, limit: 3)) {
            try DataURL(parsing: exact, limits: ImageLimits(maxByteCount: 3))
        }
        #expect((try? DataURL(parsing: exact, limits: ImageLimits(maxByteCount: 4))) != nil)
    }
}
