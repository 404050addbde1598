/// Finds a string in others in linear time, whatever the two are (Knuth, Morris and Pratt, 1977).
struct TextSearch {
    private let part: [UInt8]
    // For each prefix of `part`, the length of its longest proper suffix that is a prefix too.
    private let borders: [Int]

    /// Prepares to find a string.
    init(_ string: String) {
        self.init(bytes: Array(string.utf8))
    }

    /// Prepares to find bytes.
    init(bytes part: [UInt8]) {
        var borders = [Int](repeating: 0, count: part.count)
        var length = 0
        for index in part.indices.dropFirst() {
            while length > 0, part[length] != part[index] { length = borders[length - 1] }
            if part[length] == part[index] { length += 1 }
            borders[index] = length
        }
        self.part = part
        self.borders = borders
    }

    /// Bytes of the string that is looked for.
    var byteCount: Int { part.count }

    /// The place of the first match at or after a place.
    func first(in bytes: [UInt8], from start: Int = 0) -> Int? {
        guard !part.isEmpty else { return start <= bytes.count ? start : nil }
        var length = 0
        var index = start
        while index < bytes.count {
            while length > 0, part[length] != bytes[index] { length = borders[length - 1] }
            if part[length] == bytes[index] { length += 1 }
            index += 1
            if length == part.count { return index - length }
        }
        return nil
    }

    /// The places of matches that do not overlap, from the first, at most so many; an empty string has none.
    func all(in bytes: [UInt8], atMost limit: Int = .max) -> [Int] {
        guard !part.isEmpty else { return [] }
        var places: [Int] = []
        var start = 0
        while places.count < limit, let place = first(in: bytes, from: start) {
            places.append(place)
            start = place + part.count
        }
        return places
    }

    /// The place of the last match.
    func last(in bytes: [UInt8]) -> Int? {
        guard !part.isEmpty else { return bytes.count }
        var last: Int?
        var length = 0
        for (index, byte) in bytes.enumerated() {
            while length > 0, part[length] != byte { length = borders[length - 1] }
            if part[length] == byte { length += 1 }
            guard length == part.count else { continue }
            last = index + 1 - length
            length = borders[length - 1]
        }
        return last
    }
}
