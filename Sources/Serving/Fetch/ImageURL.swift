/// An `http` or `https` URL of the plainest form, taken apart by ourselves, so that no two parsers can
/// disagree on it.
///
/// ASCII without blanks, control characters, quotes or backslashes; no user or password; the host is a name
/// of letters, digits, hyphens and dots, or an IPv6 address in brackets. Everything else is refused.
struct ImageURL: Hashable, Sendable {
    let isSecure: Bool
    /// In lower case, without brackets.
    let host: String
    let port: Int
    /// Path and query, beginning with a slash; the fragment is left off.
    let target: String

    /// The longest URL that is taken apart.
    static let maxLength = 8_192

    /// Whether `text` begins like a URL of this kind, in any case.
    static func matches(_ text: String) -> Bool {
        let start = text.prefix(8).lowercased()
        return start.hasPrefix("http://") || start == "https://"
    }

    /// Nil for anything but such a URL.
    init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count <= Self.maxLength, bytes.allSatisfy(Self.isAllowed) else { return nil }
        let prefix = bytes.prefix(8).map { UInt8(ascii: "A")...UInt8(ascii: "Z") ~= $0 ? $0 | 0x20 : $0 }
        var rest: ArraySlice<UInt8>
        if prefix.starts(with: "https://".utf8) {
            (isSecure, rest) = (true, bytes.dropFirst(8))
        } else if prefix.starts(with: "http://".utf8) {
            (isSecure, rest) = (false, bytes.dropFirst(7))
        } else {
            return nil
        }
        if let fragment = rest.firstIndex(of: UInt8(ascii: "#")) { rest = rest[..<fragment] }
        let end = rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? rest.endIndex
        guard let authority = Self.parse(authority: rest[..<end]) else { return nil }
        host = authority.host
        port = authority.port ?? (isSecure ? 443 : 80)
        let target = String(decoding: rest[end...], as: UTF8.self)
        self.target = target.hasPrefix("/") ? target : "/" + target
    }

    /// The URL to ask for, built from its parts alone.
    var text: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return "\(isSecure ? "https" : "http")://\(name):\(port)\(target)"
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x21...0x7e: !"\"<>\\^`{|}".utf8.contains(byte)
        default: false
        }
    }

    private static func parse(authority: ArraySlice<UInt8>) -> (host: String, port: Int?)? {
        guard !authority.contains(UInt8(ascii: "@")) else { return nil }
        var name = authority
        var port: Int?
        if authority.first == UInt8(ascii: "[") {
            guard let close = authority.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            name = authority[(authority.startIndex + 1)..<close]
            let after = authority[(close + 1)...]
            if !after.isEmpty {
                guard after.first == UInt8(ascii: ":"), let number = parse(port: after.dropFirst()) else {
                    return nil
                }
                port = number
            }
            guard name.contains(UInt8(ascii: ":")), name.allSatisfy(isAddressCharacter) else { return nil }
        } else {
            if let colon = authority.firstIndex(of: UInt8(ascii: ":")) {
                guard let number = parse(port: authority[(colon + 1)...]) else { return nil }
                port = number
                name = authority[..<colon]
            }
            guard name.allSatisfy(isNameCharacter), name.first != UInt8(ascii: ".") else { return nil }
        }
        guard !name.isEmpty, name.count <= 253 else { return nil }
        return (String(decoding: name, as: UTF8.self).lowercased(), port)
    }

    /// 1 to 65,535, in at most five digits.
    private static func parse(port: ArraySlice<UInt8>) -> Int? {
        guard (1...5).contains(port.count), port.allSatisfy(isDigit),
            let number = Int(String(decoding: port, as: UTF8.self)), (1...65_535).contains(number)
        else { return nil }
        return number
    }

    private static func isDigit(_ byte: UInt8) -> Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte }

    private static func isNameCharacter(_ byte: UInt8) -> Bool {
        let lower = byte | 0x20
        return isDigit(byte) || UInt8(ascii: "a")...UInt8(ascii: "z") ~= lower
            || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_")
    }

    private static func isAddressCharacter(_ byte: UInt8) -> Bool {
        let lower = byte | 0x20
        return isDigit(byte) || UInt8(ascii: "a")...UInt8(ascii: "f") ~= lower
            || byte == UInt8(ascii: ":") || byte == UInt8(ascii: ".")
    }
}
