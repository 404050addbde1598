import NIOCore
import TestRandom
import Testing

@testable import SharedCache

/// Replies of a server, however its bytes come.
struct RESPReaderTests {
    /// All replies in `stream`, appended in pieces of random lengths, until nothing more comes.
    private func replies(
        _ stream: [UInt8], seed: UInt64, limit: Int = 64,
    ) -> (replies: [RESPReply], error: RESPError?) {
        var random = SeededRandom(seed: seed), reader = RESPReader(), found: [RESPReply] = []
        var rest = stream[...]
        do throws(RESPError) {
            while true {
                while let reply = try reader.next(atMost: limit) { found.append(reply) }
                guard !rest.isEmpty else { return (found, nil) }
                let piece = rest.prefix(1 + random.below(seed == 0 ? 1 : 9))
                reader.append(ByteBuffer(bytes: piece))
                rest = rest.dropFirst(piece.count)
            }
        } catch {
            return (found, error)
        }
    }

    private func value(_ text: String) -> RESPReply { .bytes(ByteBuffer(string: text)) }

    @Test(arguments: 0..<50) func `where the stream is cut does not matter`(seed: UInt64) {
        let stream = "+OK\r\n-ERR no\r\n:42\r\n$5\r\na\r\nbc\r\n$0\r\n\r\n$-1\r\n:-7\r\n+\r\n$3\r\nxyz\r\n"
        let (found, error) = replies(Array(stream.utf8), seed: seed)
        #expect(error == nil)
        #expect(
            found == [
                .line("OK"), .error("ERR no"), .integer(42), value("a\r\nbc"), value(""), .none, .integer(-7),
                .line(""), value("xyz"),
            ])
    }

    @Test func `a part of a reply is no reply`() {
        for text in ["+OK\r\n", "$3\r\nabc\r\n", ":1\r\n"] {
            for end in 0..<text.utf8.count {
                let (found, error) = replies(Array(text.utf8.prefix(end)), seed: 3)
                #expect(found.isEmpty && error == nil, "\(text) \(end)")
            }
        }
    }

    @Test(arguments: [
        ("$65\r\n", RESPError.tooLong(65)), ("$9223372036854775807\r\n", .tooLong(.max)),
        ("$9223372036854775808\r\n", .badNumber), ("$-2\r\n", .badNumber),
        ("$-9223372036854775808\r\n", .badNumber), ("$\r\n", .badNumber), ("$+3\r\nabc\r\n", .badNumber),
        ("$ 3\r\nabc\r\n", .badNumber), ("$3x\r\nabc\r\n", .badNumber), (":1.5\r\n", .badNumber),
        ("$3\r\nabcd\r\n", .badEnd), ("*1\r\n*1\r\n*1\r\n:1\r\n", .unknownKind(42)),
        ("*1000000000\r\n", .unknownKind(42)), ("%1\r\n", .unknownKind(37)), ("_\r\n", .unknownKind(95)),
        ("HTTP/1.1 400 Bad Request\r\n", .unknownKind(72)), ("\r\n", .badLine), ("\n", .badLine),
        ("+OK\n", .badLine),
    ])
    func `what is no reply is an error`(text: String, expected: RESPError) {
        for seed in 0..<5 {
            let (found, error) = replies(Array(text.utf8), seed: UInt64(seed))
            #expect(found.isEmpty && error == expected, "\(text)")
        }
    }

    @Test func `a line that does not end is an error, and one that does may be long`() {
        let long = Array(repeating: UInt8(ascii: "a"), count: RESPReader.longestLine - 1)
        #expect(replies([43] + long + [13, 10], seed: 1).replies.count == 1)
        #expect(replies([43] + long + long, seed: 1).error == .badLine)
    }

    @Test func `noise never traps`() {
        for seed in 0..<3000 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            let alphabet = Array("+-:$*0123456789\r\n\r\n\r\nab".utf8) + [0, 255]
            let stream = (0..<random.below(60)).map { _ in alphabet[random.below(alphabet.count)] }
            let whole = replies(stream, seed: seed), single = replies(stream, seed: 0)
            #expect(whole == single, "\(seed)")
        }
    }

    @Test func `a command is an array of its parts`() {
        let command = RESPWriter.command([Array("SET".utf8), [0, 13, 10], []])
        #expect(
            Array(command.readableBytesView)
                == Array("*3\r\n$3\r\nSET\r\n$3\r\n".utf8) + [0, 13, 10] + Array("\r\n$0\r\n\r\n".utf8))
    }
}
