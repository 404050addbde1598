import Images

/// The keys that open the server; only their SHA-256 digests are kept.
package struct APIKeys: Sendable {
    private let digests: [[UInt8]]

    /// Takes keys as clients send them; with none, everybody is let in.
    package init(_ keys: [String] = []) { digests = keys.map { SHA256.digest(of: Array($0.utf8)) } }

    /// Whether a key is needed at all.
    var isRequired: Bool { !digests.isEmpty }

    /// Whether the value of an `Authorization` field is `Bearer` and one of the keys.
    ///
    /// Compares digests, and all of them to their ends, so that the time tells nothing about a key.
    func admit(_ authorization: String?) -> Bool {
        let scheme = Array("Bearer ".utf8)
        let value = Array((authorization ?? "").utf8)
        guard value.starts(with: scheme) else { return false }
        let digest = SHA256.digest(of: Array(value.dropFirst(scheme.count)))
        var isKnown = false
        for known in digests {
            let difference = zip(known, digest).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) }
            isKnown = difference == 0 || isKnown
        }
        return isKnown
    }

    /// Whether a text can be a key: 1 to 1,024 visible ASCII characters.
    package static func isValid(_ key: String) -> Bool {
        (1...1_024).contains(key.utf8.count) && key.utf8.allSatisfy { (0x21...0x7e).contains($0) }
    }
}
