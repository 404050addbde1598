/// Where a Valkey or Redis server is, and how to greet it: `redis://[[user]:password@]host[:port][/database]`.
package struct RedisAddress: Sendable, Hashable {
    /// A name or an IP address.
    package let host: String
    package let port: Int
    /// Nil where the server knows one user only.
    package let user: String?
    /// Nil where it wants none.
    package let password: String?
    package let database: Int

    /// Reads a URL; throws a sentence that says what is wrong with it, without the password.
    package init(_ url: String) throws(RedisAddressError) {
        let scheme = "redis://"
        guard !url.hasPrefix("rediss://") else {
            throw RedisAddressError(
                "rediss:// (TLS) is not supported; use redis:// within a network you trust")
        }
        guard url.hasPrefix(scheme) else { throw RedisAddressError("it must begin with redis://") }
        let rest = url.utf8.dropFirst(scheme.utf8.count)
        guard rest.allSatisfy({ $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") })
        else {
            throw RedisAddressError("it has characters that must be written as %XX, or a part after ? or #")
        }
        let path = rest.firstIndex(of: UInt8(ascii: "/")) ?? rest.endIndex
        let authority = rest[..<path]
        database = try Self.database(rest[path...].dropFirst())
        if let at = authority.lastIndex(of: UInt8(ascii: "@")) {
            (user, password) = try Self.credentials(authority[..<at])
            (host, port) = try Self.place(authority[authority.index(after: at)...])
        } else {
            (user, password) = (nil, nil)
            (host, port) = try Self.place(authority)
        }
    }

    /// What may be shown.
    package var shown: String {
        "\(host.contains(":") ? "[\(host)]" : host):\(port)/\(database)"
    }

    /// What is sent first on a connection.
    var greeting: [[String]] {
        var commands: [[String]] = []
        if let password { commands.append(["AUTH"] + (user.map { [$0] } ?? []) + [password]) }
        if database != 0 { commands.append(["SELECT", "\(database)"]) }
        return commands
    }

    private static func database(_ path: Substring.UTF8View) throws(RedisAddressError) -> Int {
        if path.isEmpty { return 0 }
        guard let number = number(path), number <= 65_535 else {
            throw RedisAddressError("what follows the last / must be the number of a database")
        }
        return number
    }

    private static func credentials(
        _ text: Substring.UTF8View,
    ) throws(RedisAddressError) -> (user: String?, password: String?) {
        guard let colon = text.firstIndex(of: UInt8(ascii: ":")) else {
            throw RedisAddressError("in front of the @ it needs user:password, or :password")
        }
        let user = try decoded(text[..<colon])
        let password = try decoded(text[text.index(after: colon)...])
        guard !password.isEmpty else { throw RedisAddressError("the password is empty") }
        return (user.isEmpty ? nil : user, password)
    }

    private static func place(_ text: Substring.UTF8View) throws(RedisAddressError) -> (
        host: String, port: Int
    ) {
        var host = text, rest = text[text.endIndex...]
        if text.first == UInt8(ascii: "["), let end = text.firstIndex(of: UInt8(ascii: "]")) {
            host = text[text.index(after: text.startIndex)..<end]
            rest = text[text.index(after: end)...]
        } else if let colon = text.firstIndex(of: UInt8(ascii: ":")) {
            (host, rest) = (text[..<colon], text[colon...])
        }
        let isAddress = text.first == UInt8(ascii: "[")
        let isName = host.allSatisfy { byte in
            (byte | 32 >= UInt8(ascii: "a") && byte | 32 <= UInt8(ascii: "z"))
                || (byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")) || ".-_".utf8.contains(byte)
                || (isAddress && byte == UInt8(ascii: ":"))
        }
        guard !host.isEmpty, isName else { throw RedisAddressError("it names no host") }
        if rest.isEmpty { return (String(Substring(host)), 6379) }
        guard rest.first == UInt8(ascii: ":"), let port = number(rest.dropFirst()),
            (1...65_535).contains(port)
        else {
            throw RedisAddressError("its port must be from 1 to 65535")
        }
        return (String(Substring(host)), port)
    }

    private static func number(_ digits: Substring.UTF8View) -> Int? {
        digits.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
            ? Int(Substring(digits)) : nil
    }

    /// The text with each %XX replaced by its byte.
    private static func decoded(_ text: Substring.UTF8View) throws(RedisAddressError) -> String {
        var bytes: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = Substring(rest.prefix(2))
            guard digits.utf8.count == 2, digits.first != "+", digits.first != "-",
                let value = UInt8(digits, radix: 16)
            else { throw RedisAddressError("a % is not followed by two hexadecimal digits") }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else {
            throw RedisAddressError("user and password must be UTF-8")
        }
        return decoded
    }
}

/// What is wrong with a URL.
package struct RedisAddressError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    /// Takes the sentence.
    init(_ description: String) { self.description = description }
}
