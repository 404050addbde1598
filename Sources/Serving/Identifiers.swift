#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// Random names.
enum RandomHex {
    /// 16 hexadecimal digits.
    static func word() -> String {
        let digits = String(UInt64.random(in: 0...UInt64.max), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// The time of day.
enum WallClock {
    /// In seconds since 1970.
    static var seconds: Int { time(nil) }
}

/// Names that clients give their requests.
enum RequestName {
    /// `name` if it is short and harmless to log, or a new one.
    static func sanitized(_ name: String?) -> String {
        guard let name, (1...128).contains(name.utf8.count), name.utf8.allSatisfy(isHarmless) else {
            return RandomHex.word()
        }
        return name
    }

    private static func isHarmless(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }
}
