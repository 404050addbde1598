import TestRandom
import Testing

@testable import Scheduling

@Suite struct PlanePositionsTests {
    private func key(_ number: UInt8) -> ImageKey { ImageKey(digest: Array(repeating: number, count: 32)) }

    @Test func `a prompt without rows and columns has none`() {
        #expect(PlanePositions(PreparedPrompt(tokenIDs: [1, 2])) == nil)
        let tiles = ImageSpan(key: key(1), start: 1, tokenCount: 4)
        #expect(PlanePositions(PreparedPrompt(tokenIDs: [1, 9, 9, 9, 9], images: [tiles])) == nil)
    }

    @Test func `pictures stand in rows and columns, words behind their longer side`() throws {
        let spans = [
            ImageSpan(key: key(1), start: 2, tokenCount: 6, columns: 3),
            ImageSpan(key: key(2), start: 9, tokenCount: 3, columns: 1),
        ]
        let prompt = PreparedPrompt(tokenIDs: [Int32](repeating: 0, count: 13), images: spans)
        let places = try #require(PlanePositions(prompt)).places(of: 0..<15)
        #expect(places.map { $0[0] } == [0, 1, 2, 2, 2, 2, 2, 2, 5, 6, 6, 6, 9, 10, 11])
        #expect(places.map { $0[1] } == [0, 1, 2, 2, 2, 3, 3, 3, 5, 6, 7, 8, 9, 10, 11])
        #expect(places.map { $0[2] } == [0, 1, 2, 3, 4, 2, 3, 4, 5, 6, 6, 6, 9, 10, 11])
    }

    @Test(arguments: 0..<50) func `any part has the places it has in the whole`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var count = random.below(4), spans: [ImageSpan] = []
        for number in 0..<(1 + random.below(4)) {
            let (rows, columns) = (1 + random.below(6), 1 + random.below(6))
            // Among them pictures whose tokens follow one another.
            spans.append(
                ImageSpan(
                    key: key(UInt8(number)), start: count, tokenCount: rows * columns,
                    columns: number == 0 || random.below(4) > 0 ? columns : nil))
            count += rows * columns + random.below(3)
        }
        let prompt = PreparedPrompt(tokenIDs: [Int32](repeating: 0, count: count), images: spans)
        let positions = try #require(PlanePositions(prompt)), all = positions.places(of: 0..<(count + 9))
        #expect(all.count == count + 9)
        for _ in 0..<30 {
            let start = random.below(count + 9), end = start + random.below(count + 10 - start)
            #expect(positions.places(of: start..<end) == Array(all[start..<end]))
        }
        // No place is behind that of a word of the same index, and what follows is behind all before it.
        for (index, place) in all.enumerated() { #expect((0..<3).allSatisfy { place[$0] <= Int32(index) }) }
        let last = all.suffix(9).map { $0[0] }, highest = all.dropLast(9).map { $0.max() }.max() ?? 0
        #expect(last == Array((highest + 1)..<(highest + 10)))
    }
}
