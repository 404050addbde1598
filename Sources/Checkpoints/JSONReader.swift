/// Parses JSON text.
///
/// Refuses duplicate keys, more than `deepest` levels, and anything after the value. Python's NaN, Infinity and -Infinity pass as numbers, since Python writes them; no accessor returns them.
struct JSONReader {
    /// Why a text is not JSON.
    struct Failure: Error {
        let problem: String
        let offset: Int
    }

    private static let deepest = 64
    private let bytes: [UInt8]
    private var index = 0

    /// The value of a whole text, for a file called `file` in errors.
    static func parse(_ bytes: [UInt8], file: String) throws(CheckpointError) -> JSONValue {
        var reader = JSONReader(bytes: bytes)
        do throws(Failure) {
            let value = try reader.value(depth: 0)
            reader.skipSpace()
            guard reader.index == bytes.count else { throw reader.failure("has text after its end") }
            return value
        } catch {
            throw .malformed(
                file: file, problem: "no valid JSON: it \(error.problem) at byte \(error.offset)")
        }
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private func failure(_ problem: String) -> Failure { Failure(problem: problem, offset: index) }

    private var next: UInt8? { index < bytes.count ? bytes[index] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { index += 1 }
    }

    private mutating func skip(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard let byte = next, byte == UInt8(ascii: character) else { return false }
        index += 1
        return true
    }

    private mutating func value(depth: Int) throws(Failure) -> JSONValue {
        guard depth < Self.deepest else { throw failure("nests deeper than \(Self.deepest) levels") }
        skipSpace()
        switch next {
        case nil: throw failure("ends too early")
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        default: return try word()
        }
    }

    private mutating func object(depth: Int) throws(Failure) -> JSONValue {
        index += 1
        var members: [String: JSONValue] = [:]
        if skip("}") { return .object(members) }
        repeat {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw failure("lacks a key") }
            let key = try string()
            guard skip(":") else { throw failure("lacks a colon") }
            let member = try value(depth: depth + 1)
            guard members.updateValue(member, forKey: key) == nil else {
                throw failure("has the key \"\(key.prefix(80))\" twice")
            }
        } while skip(",")
        guard skip("}") else { throw failure("lacks a closing brace") }
        return .object(members)
    }

    private mutating func array(depth: Int) throws(Failure) -> JSONValue {
        index += 1
        var elements: [JSONValue] = []
        if skip("]") { return .array(elements) }
        repeat { elements.append(try value(depth: depth + 1)) } while skip(",")
        guard skip("]") else { throw failure("lacks a closing bracket") }
        return .array(elements)
    }

    /// A literal or a number.
    private mutating func word() throws(Failure) -> JSONValue {
        let start = index
        while let byte = next, Self.isWordByte(byte) { index += 1 }
        let text = String(decoding: bytes[start..<index], as: UTF8.self)
        switch text {
        case "null": return .null
        case "true": return .bool(true)
        case "false": return .bool(false)
        case "NaN", "Infinity", "-Infinity": return .number(text)
        default:
            guard Self.isNumber(bytes[start..<index]) else {
                index = start
                throw failure("has an unknown word")
            }
            return .number(text)
        }
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    /// Whether `text` is a number: minus or not, digits, maybe a fraction, maybe an exponent.
    private static func isNumber(_ text: ArraySlice<UInt8>) -> Bool {
        var rest = text
        func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
        func skipDigits() -> Bool {
            let digits = rest.prefix(while: isDigit)
            rest = rest.dropFirst(digits.count)
            return !digits.isEmpty
        }
        if rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
        guard skipDigits() else { return false }
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            guard skipDigits() else { return false }
        }
        if rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") {
            rest = rest.dropFirst()
            if rest.first == UInt8(ascii: "+") || rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
            guard skipDigits() else { return false }
        }
        return rest.isEmpty
    }

    private mutating func string() throws(Failure) -> String {
        index += 1
        var text: [UInt8] = []
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\""):
                index += 1
                guard let string = String(validating: text, as: UTF8.self) else {
                    throw failure("is not UTF-8")
                }
                return string
            case UInt8(ascii: "\\"):
                index += 1
                text += String(try escape()).utf8
            case 0..<0x20:
                throw failure("has a control character in a string")
            default:
                text.append(byte)
                index += 1
            }
        }
        throw failure("ends within a string")
    }

    private mutating func escape() throws(Failure) -> Unicode.Scalar {
        guard let byte = next else { throw failure("ends within a string") }
        index += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{c}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try unicodeEscape()
        default: throw failure("has an unknown escape")
        }
    }

    /// What follows `\u`: one scalar, of one or two units.
    private mutating func unicodeEscape() throws(Failure) -> Unicode.Scalar {
        let first = try hexUnit()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xdc00, next == UInt8(ascii: "\\") else { throw failure("has half a surrogate pair") }
        index += 1
        guard next == UInt8(ascii: "u") else { throw failure("has half a surrogate pair") }
        index += 1
        let second = try hexUnit()
        guard (0xdc00...0xdfff).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xd800) << 10 + (second - 0xdc00))
        else { throw failure("has half a surrogate pair") }
        return scalar
    }

    private mutating func hexUnit() throws(Failure) -> UInt32 {
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw failure("has a broken \\u escape")
            }
            unit = unit << 4 | UInt32(truncatingIfNeeded: digit)
            index += 1
        }
        return unit
    }
}
