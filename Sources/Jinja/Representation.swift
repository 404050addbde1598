/// How Python writes numbers and strings.
enum Representation {
    /// `repr` of a float: the shortest digits that read back as it, plain from 1e-4 up to below 1e16.
    static func text(_ number: Double) -> String {
        guard number.isFinite else { return number.isNaN ? "nan" : number < 0 ? "-inf" : "inf" }
        // Swift finds the same digits and writes some of them otherwise.
        var digits: [UInt8] = []
        var exponent = 0
        var point: Int?
        var bytes = number.magnitude.description.utf8[...]
        while let byte = bytes.popFirst() {
            if byte == UInt8(ascii: ".") {
                point = digits.count
            } else if byte == UInt8(ascii: "e") {
                exponent = Int(String(decoding: bytes, as: UTF8.self)) ?? 0
                break
            } else {
                digits.append(byte)
            }
        }
        var before = (point ?? digits.count) + exponent
        let leading = digits.prefix { $0 == UInt8(ascii: "0") }.count
        digits.removeFirst(leading)
        before -= leading
        while digits.last == UInt8(ascii: "0") { digits.removeLast() }
        let sign = number.sign == .minus ? "-" : ""
        if digits.isEmpty { return sign + "0.0" }
        return sign + text(digits: digits, before: before)
    }

    // The number 0.DIGITS times ten to the power `before`.
    private static func text(digits: [UInt8], before: Int) -> String {
        func string(_ bytes: some Sequence<UInt8>) -> String { String(decoding: Array(bytes), as: UTF8.self) }
        func zeros(_ count: Int) -> String { String(repeating: "0", count: count) }
        if before > 16 || before < -3 {
            let power = before - 1
            let fraction = digits.count > 1 ? "." + string(digits.dropFirst()) : ""
            let exponent = (power.magnitude < 10 ? "0" : "") + String(power.magnitude)
            return string(digits.prefix(1)) + fraction + "e" + (power < 0 ? "-" : "+") + exponent
        }
        if before <= 0 { return "0." + zeros(-before) + string(digits) }
        if digits.count <= before { return string(digits) + zeros(before - digits.count) + ".0" }
        return string(digits.prefix(before)) + "." + string(digits.dropFirst(before))
    }

    /// `repr` of a string: single quotes, unless only double ones spare escapes.
    static func quoted(_ string: String) -> String {
        let hasSingle = string.utf8.contains(UInt8(ascii: "'"))
        let hasDouble = string.utf8.contains(UInt8(ascii: "\""))
        let quote: Unicode.Scalar = hasSingle && !hasDouble ? "\"" : "'"
        var result = String(quote)
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "\\": result += "\\\\"
            case quote: result += "\\" + String(quote)
            default:
                if isPrintable(scalar) {
                    result.unicodeScalars.append(scalar)
                } else {
                    result += escape(scalar)
                }
            }
        }
        return result + String(quote)
    }

    private static func escape(_ scalar: Unicode.Scalar) -> String {
        switch scalar.value {
        case ..<0x100: "\\x" + hexadecimal(scalar.value, width: 2)
        case ..<0x10000: "\\u" + hexadecimal(scalar.value, width: 4)
        default: "\\U" + hexadecimal(scalar.value, width: 8)
        }
    }

    /// Hexadecimal digits, with zeros up to a width.
    static func hexadecimal(_ value: some BinaryInteger, width: Int) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return scalar.value >= 0x20 && scalar.value < 0x7f }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
            .spaceSeparator:
            return false
        default:
            return true
        }
    }
}

extension Interpreter {
    /// `str(value)`: what printing a value writes.
    mutating func string(_ value: Value) throws(JinjaError) -> String {
        switch value {
        case .string(let string): return string
        case .undefined: return ""
        default:
            var result = ""
            try represent(value, into: &result)
            return result
        }
    }

    /// Appends `repr(value)`.
    mutating func represent(_ value: Value, into result: inout String) throws(JinjaError) {
        try charge(1)
        switch value {
        case .undefined: result += "Undefined"
        case .none: result += "None"
        case .bool(let bool): result += bool ? "True" : "False"
        case .int(let int): result += String(int)
        case .double(let double): result += Representation.text(double)
        case .string(let string):
            try charge(string.utf8.count >> 4)
            result += Representation.quoted(string)
        case .list(let list): try represent(list.items, between: "[", "]", into: &result)
        case .tuple(let list):
            try represent(list.items, between: "(", list.items.count == 1 ? ",)" : ")", into: &result)
        case .object(let object):
            result += "{"
            for (index, member) in object.members.enumerated() {
                if index > 0 { result += ", " }
                try represent(member.key, into: &result)
                result += ": "
                try represent(member.value, into: &result)
            }
            result += "}"
        case .runtime(let value): result += "<\(value.typeName)>"
        }
        guard result.utf8.count <= limits.maxOutputBytes else { throw .exceeded(line: line, .output) }
    }

    private mutating func represent(
        _ items: [Value], between start: String, _ end: String, into result: inout String
    ) throws(JinjaError) {
        result += start
        for (index, item) in items.enumerated() {
            if index > 0 { result += ", " }
            try represent(item, into: &result)
        }
        result += end
    }
}
