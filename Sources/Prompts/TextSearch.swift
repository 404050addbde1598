/// Searching texts by their bytes: `String`'s own comparison joins characters that are canonically equal.
extension String {
    /// The text with every `pattern` replaced.
    func replacing(_ pattern: String, with replacement: String) -> String {
        replacing(pattern) { replacement }
    }

    /// The text with every `pattern` replaced by what `replacement` gives then.
    func replacing(_ pattern: String, _ replacement: () -> String) -> String {
        var result: [UInt8] = []
        var rest = Array(utf8)[...]
        while let range = rest.firstRange(of: pattern.utf8) {
            result += rest[..<range.lowerBound]
            result += replacement().utf8
            rest = rest[range.upperBound...]
        }
        return String(decoding: result + rest, as: UTF8.self)
    }

    /// How often `pattern` occurs, without overlap.
    func count(of pattern: String) -> Int {
        var count = 0
        var rest = Array(utf8)[...]
        while let range = rest.firstRange(of: pattern.utf8) {
            count += 1
            rest = rest[range.upperBound...]
        }
        return count
    }
}
