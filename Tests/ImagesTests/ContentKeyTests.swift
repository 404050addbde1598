import Testing

@testable import Images

/// SHA-256 and the keys made with it.
struct ContentKeyTests {
    /// Messages and digests of FIPS 180-4's examples and of NIST's short-message vectors.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (
            "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
            "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"
        ),
    ])
    func `published digests come out`(_ text: String, _ digest: String) {
        for portable in [false, true] {
            let bytes = NativeImageCode.sha256([Array(text.utf8)], portable: portable)
            #expect(SHA256.hexadecimal(bytes) == digest)
        }
    }

    @Test func `a million letters digest as published`() {
        let bytes = SHA256.digest(of: Array(repeating: UInt8(ascii: "a"), count: 1_000_000))
        #expect(
            SHA256.hexadecimal(bytes) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    @Test func `pieces of any length digest as the whole, by both kinds of rounds`() {
        let bytes = ImageFixtures.noise(500, seed: 9)
        for first in stride(from: 0, through: 300, by: 7) {
            let pieces = [
                Array(bytes[..<first]), Array(bytes[first..<(first + 100)]), Array(bytes[(first + 100)...]),
            ]
            let whole = NativeImageCode.sha256([bytes], portable: true)
            #expect(NativeImageCode.sha256(pieces) == whole)
            #expect(NativeImageCode.sha256(pieces, portable: true) == whole)
        }
    }

    @Test func `the key is the digest of the framed fields`() {
        let key = ContentKey(encoded: [1, 2], preprocessing: "p", model: "mm")
        let framed: [UInt8] =
            [2, 0, 0, 0, 0, 0, 0, 0, 1, 2] + [1, 0, 0, 0, 0, 0, 0, 0, 0x70] + [
                2, 0, 0, 0, 0, 0, 0, 0, 0x6d, 0x6d,
            ]
        #expect(key.bytes == SHA256.digest(of: framed))
        #expect(key.hexadecimal == SHA256.hexadecimal(key.bytes) && key.hexadecimal.utf8.count == 64)
    }

    @Test func `moving a byte from one field to the next changes the key`() {
        let keys: Set<ContentKey> = [
            ContentKey(encoded: [0x61, 0x62], preprocessing: "c", model: "d"),
            ContentKey(encoded: [0x61], preprocessing: "bc", model: "d"),
            ContentKey(encoded: [0x61, 0x62, 0x63], preprocessing: "", model: "d"),
            ContentKey(encoded: [0x61, 0x62], preprocessing: "", model: "cd"),
            ContentKey(encoded: [], preprocessing: "abc", model: "d"),
        ]
        #expect(keys.count == 5)
    }
}
