import TestRandom
import Testing

@testable import Serving

/// Stop strings across the borders of pieces.
struct StopMatcherTests {
    /// What pieces release in all.
    private struct Result: Equatable {
        var text: [UInt8] = []
        var isComplete = false
    }

    private func run(_ pieces: [[UInt8]], _ stops: [[UInt8]], _ treatment: StopMatcher.Treatment) -> Result {
        var matcher = StopMatcher(stops: stops, treatment: treatment)
        var result = Result()
        for piece in pieces {
            let output = matcher.append(piece)
            result.text += output.text
            if output.isComplete {
                result.isComplete = true
                return result
            }
        }
        result.text += matcher.finish()
        return result
    }

    /// The same by looking at the whole text: the first byte at which a stop string is complete, the longest there.
    private func reference(_ text: [UInt8], _ stops: [[UInt8]], _ treatment: StopMatcher.Treatment) -> Result
    {
        for end in text.indices.map({ $0 + 1 }) {
            let found = stops.filter { text[..<end].suffix($0.count).elementsEqual($0) }.map(\.count).max()
            guard let found else { continue }
            let kept = if case .keep = treatment { end } else { end - found }
            return Result(text: Array(text[..<kept]), isComplete: true)
        }
        return Result(text: text, isComplete: false)
    }

    private func run(_ pieces: [String], _ stops: [String]) -> (String, Bool) {
        let result = run(pieces.map { Array($0.utf8) }, stops.map { Array($0.utf8) }, .trim)
        return (String(decoding: result.text, as: UTF8.self), result.isComplete)
    }

    @Test func `stop strings are found over borders and cut exactly`() {
        #expect(run(["The br", "own f", "ox"], ["own fox"]) == ("The br", true))
        #expect(run(["a", "a", "a", "b"], ["aab"]) == ("a", true))
        #expect(run(["line\r", "\nnext"], ["\n"]) == ("line\r", true))
        #expect(run(["line\r\nnext"], ["\r\n"]) == ("line", true))
        #expect(run(["stop"], ["stop"]) == ("", true))
        #expect(run(["xabc"], ["ab", "abc"]) == ("x", true))
        #expect(run(["xabcd"], ["bc", "abcd"]) == ("xa", true))
        #expect(run(["half sto"], ["stop"]) == ("half sto", false))
        #expect(run(["no stops"], []) == ("no stops", false))
    }

    @Test func `a stop string inside a character is found on bytes`() {
        let result = run([Array("né".utf8)], [[0xc3]], .trim)
        #expect(result == Result(text: Array("n".utf8), isComplete: true))
    }

    @Test func `only what may become a stop string is held back`() {
        var matcher = StopMatcher(stops: [Array("END".utf8)], treatment: .trim)
        #expect(matcher.append(Array("some E".utf8)) == .init(text: Array("some ".utf8), isComplete: false))
        #expect(matcher.append(Array("N".utf8)) == .init(text: [], isComplete: false))
        #expect(matcher.append(Array("ds".utf8)) == .init(text: Array("ENds".utf8), isComplete: false))
        #expect(matcher.finish() == [])
    }

    @Test func `with the stop string kept nothing is held back`() {
        var matcher = StopMatcher(stops: [Array("END".utf8)], treatment: .keep)
        #expect(
            matcher.append(Array("some EN".utf8)) == .init(text: Array("some EN".utf8), isComplete: false))
        #expect(matcher.append(Array("D and".utf8)) == .init(text: Array("D".utf8), isComplete: true))
    }

    @Test(arguments: 0..<200)
    func `any pieces give what the whole text gives`(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        for _ in 0..<50 {
            // Few letters, so that beginnings and overlaps are common.
            func bytes(_ count: Int) -> [UInt8] {
                (0..<count).map { _ in UInt8.random(in: 97...99, using: &random) }
            }
            let stops = (0..<Int.random(in: 0...4, using: &random)).map { _ in
                bytes(Int.random(in: 1...6, using: &random))
            }
            let text = bytes(Int.random(in: 0...40, using: &random))
            var pieces: [[UInt8]] = []
            var rest = text[...]
            while !rest.isEmpty {
                let count = Int.random(in: 0...min(5, rest.count), using: &random)
                pieces.append(Array(rest.prefix(count)))
                rest = rest.dropFirst(count)
            }
            for treatment in [StopMatcher.Treatment.trim, .keep] {
                #expect(run(pieces, stops, treatment) == reference(text, stops, treatment), "seed \(seed)")
            }
        }
    }
}
