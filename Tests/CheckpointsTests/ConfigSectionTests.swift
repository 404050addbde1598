import Testing

@testable import Checkpoints

/// Objects of configuration files.
@Suite struct ConfigSectionTests {
    @Test(arguments: ["[1]", "", "{", "{\"a\":1,\"a\":2}", "{} x"])
    func `what is no JSON object, or has a key twice, is refused with the file's name`(text: String) {
        #expect {
            _ = try ConfigSection.parse(Array(text.utf8), file: "x.json")
        } throws: { error in
            error is CheckpointError && "\(error)".contains("x.json")
        }
    }

    @Test func `numbers that only Python takes pass, and no accessor returns them`() throws {
        let section = try ConfigSection.parse(
            Array(#"{"n": NaN, "i": -Infinity, "b": 1e999}"#.utf8), file: "x.json")
        for key in ["n", "i", "b"] {
            #expect(throws: CheckpointError.self) { try section.double(key, atLeast: -1e300, atMost: 1e300) }
            #expect(throws: CheckpointError.self) { try section.int(key, atMost: 10) }
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
