extension Interpreter {
    /// Filters that see their value as a number.
    mutating func applyToNumber(
        _ filter: Filter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        switch filter {
        case .abs:
            if case .double(let double) = value { return .double(double.magnitude) }
            guard let integer = value.integer else { throw failure("'abs' needs a number") }
            return integer < 0 ? try negated(.int(integer)) : .int(integer)
        case .int:
            let bound = try bind(arguments, to: ["default", "base"], of: "int")
            if value.isUndefined { throw failure("'int' of an undefined value") }
            let base = try integer(bound[1], or: 10, of: "int")
            return Numerals.integer(value, base: base).map(Value.int) ?? bound[0] ?? .int(0)
        case .float:
            let bound = try bind(arguments, to: ["default"], of: "float")
            if value.isUndefined { throw failure("'float' of an undefined value") }
            return Numerals.real(value).map(Value.double) ?? bound[0] ?? .double(0)
        case .round: return try rounded(value, arguments)
        default:
            let bound = try bind(arguments, to: ["attribute", "start"], of: "sum")
            var total = bound[1] ?? .int(0)
            for item in try items(of: value) {
                try charge(1)
                var item = item
                if let path = bound[0], path.isTrue { item = try follow(path, from: item) }
                total = try compute(.add, total, item)
            }
            return total
        }
    }

    private func rounded(_ value: Value, _ arguments: Arguments) throws(JinjaError) -> Value {
        let bound = try bind(arguments, to: ["precision", "method"], of: "round")
        let digits = try integer(bound[0], or: 0, of: "round")
        let rule: Rounding.Rule
        switch try string(bound[1], or: "common", of: "round") {
        case "common": rule = .halfToEven
        case "ceil": rule = .up
        case "floor": rule = .down
        default: throw failure("'round' is common, ceil or floor")
        }
        guard let number = value.number else { throw failure("'round' needs a number") }
        // A whole number stays one, unless its tens are rounded away.
        if rule == .halfToEven, let integer = value.integer, digits >= 0 { return .int(integer) }
        let result = Rounding.rounded(number, digits: min(max(digits, -400), 400), rule: rule)
        if rule == .halfToEven, value.integer != nil, let integer = Int(exactly: result) {
            return .int(integer)
        }
        return .double(result)
    }
}

/// Reads numbers as Python's `int` and `float` do.
enum Numerals {
    /// A whole number, or nothing where Python would fail.
    static func integer(_ value: Value, base: Int) -> Int? {
        if let integer = value.integer { return integer }
        if case .double(let double) = value { return Int(exactly: double.rounded(.towardZero)) }
        guard case .string(let string) = value else { return nil }
        var text = PythonText.stripped(string)
        guard (2...36).contains(base), let plain = withoutUnderscores(text) else { return nil }
        text = plain
        let prefix: [Int: String] = [16: "0x", 8: "0o", 2: "0b"]
        if let prefix = prefix[base], PythonText.has(prefix, PythonText.lower(text), atStart: true) {
            text = String(decoding: text.utf8.dropFirst(2), as: UTF8.self)
        }
        return Int(text, radix: base) ?? real(.string(text)).flatMap { Int(exactly: $0.rounded(.towardZero)) }
    }

    /// A float, or nothing where Python would fail.
    static func real(_ value: Value) -> Double? {
        if let number = value.number { return number }
        guard case .string(let string) = value, let text = withoutUnderscores(PythonText.stripped(string))
        else {
            return nil
        }
        switch PythonText.lower(text) {
        case "inf", "+inf", "infinity", "+infinity": return .infinity
        case "-inf", "-infinity": return -.infinity
        case "nan", "+nan", "-nan": return .nan
        default: break
        }
        let isPlain = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "e"),
                UInt8(ascii: "E"),
                UInt8(ascii: "+"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        return isPlain ? Double(text) : nil
    }

    // Single underscores between digits go; others are an error.
    private static func withoutUnderscores(_ text: String) -> String? {
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        for (index, byte) in bytes.enumerated() {
            guard byte == UInt8(ascii: "_") else {
                result.append(byte)
                continue
            }
            guard index > 0, index + 1 < bytes.count, bytes[index - 1] != byte, bytes[index + 1] != byte
            else {
                return nil
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
