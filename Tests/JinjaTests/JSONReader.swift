@testable import Jinja

/// Reads JSON as template values, keeping the order of members and telling whole numbers from others.
struct JSONReader {
    private let bytes: [UInt8]
    private var position = 0

    /// What stands where something else has to.
    struct Malformed: Error {
        let position: Int
    }

    /// The value of a document.
    static func value(of bytes: [UInt8]) throws -> Value {
        var reader = JSONReader(bytes: bytes)
        return try reader.value()
    }

    private init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    private mutating func value() throws -> Value {
        skipSpace()
        switch try peek() {
        case UInt8(ascii: "{"):
            return .object(OrderedObject(try members()))
        case UInt8(ascii: "["):
            return .list(List(try items()))
        case UInt8(ascii: "\""):
            return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", Value.none)
        default: return try number()
        }
    }

    private mutating func members() throws -> [(String, Value)] {
        var members: [(String, Value)] = []
        position += 1
        skipSpace()
        while try peek() != UInt8(ascii: "}") {
            if !members.isEmpty { try skip(",") }
            skipSpace()
            let name = try string()
            skipSpace()
            try skip(":")
            members.append((name, try value()))
            skipSpace()
        }
        position += 1
        return members
    }

    private mutating func items() throws -> [Value] {
        var items: [Value] = []
        position += 1
        skipSpace()
        while try peek() != UInt8(ascii: "]") {
            if !items.isEmpty { try skip(",") }
            items.append(try value())
            skipSpace()
        }
        position += 1
        return items
    }

    private mutating func string() throws -> String {
        var result: [UInt8] = []
        var units: [UInt16] = []
        try skip("\"")
        while true {
            let byte = try peek()
            position += 1
            if byte == UInt8(ascii: "\\"), try peek() == UInt8(ascii: "u") {
                guard position + 5 <= bytes.count,
                    let unit = UInt16(
                        String(decoding: bytes[(position + 1)..<(position + 5)], as: UTF8.self), radix: 16)
                else { throw Malformed(position: position) }
                units.append(unit)
                position += 5
                continue
            }
            result += String(decoding: units, as: UTF16.self).utf8
            units = []
            if byte == UInt8(ascii: "\"") { return String(decoding: result, as: UTF8.self) }
            guard byte == UInt8(ascii: "\\") else {
                result.append(byte)
                continue
            }
            let escaped = try peek()
            position += 1
            switch escaped {
            case UInt8(ascii: "n"): result.append(10)
            case UInt8(ascii: "r"): result.append(13)
            case UInt8(ascii: "t"): result.append(9)
            case UInt8(ascii: "b"): result.append(8)
            case UInt8(ascii: "f"): result.append(12)
            default: result.append(escaped)
            }
        }
    }

    private mutating func number() throws -> Value {
        let start = position
        while position < bytes.count, "+-.eE0123456789".utf8.contains(bytes[position]) { position += 1 }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if let int = Int(text) { return .int(int) }
        guard let double = Double(text) else { throw Malformed(position: start) }
        return .double(double)
    }

    private mutating func word(_ word: String, _ value: Value) throws -> Value {
        for byte in word.utf8 {
            guard try peek() == byte else { throw Malformed(position: position) }
            position += 1
        }
        return value
    }

    private mutating func skip(_ character: Character) throws {
        guard try peek() == character.asciiValue else { throw Malformed(position: position) }
        position += 1
    }

    private func peek() throws -> UInt8 {
        guard position < bytes.count else { throw Malformed(position: position) }
        return bytes[position]
    }

    private mutating func skipSpace() {
        while position < bytes.count, " \n\r\t".utf8.contains(bytes[position]) { position += 1 }
    }
}
