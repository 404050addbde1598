extension JSONCursor {
    /// Longer than any number of use; what a longer one costs to convert is not spent.
    private static let longestNumber = 1_000

    /// A value of any kind.
    package mutating func value() throws(JSONError) -> JSONValue {
        switch peek() {
        case UInt8(ascii: "{"): .object(try object())
        case UInt8(ascii: "["): .array(try array())
        case UInt8(ascii: "\""): .string(try string())
        case UInt8(ascii: "t"): try word("true", .bool(true))
        case UInt8(ascii: "f"): try word("false", .bool(false))
        case UInt8(ascii: "n"): try word("null", .null)
        case UInt8(ascii: "N") where options.acceptsNonFinite: try word("NaN", .double(.nan))
        case UInt8(ascii: "I") where options.acceptsNonFinite: try word("Infinity", .double(.infinity))
        default: try number()
        }
    }

    /// A whole number from 0 that fits an Int, written without fraction or exponent.
    package mutating func wholeNumber() throws(JSONError) -> Int {
        _ = peek()
        let start = offset
        var value = 0
        while let digit = next.map({ $0 &- UInt8(ascii: "0") }), digit < 10, offset == start || value > 0 {
            let (product, overflows) = value.multipliedReportingOverflow(by: 10)
            let (sum, carries) = product.addingReportingOverflow(Int(digit))
            guard !overflows, !carries else { throw error(.numberOutOfRange) }
            value = sum
            offset += 1
        }
        guard offset > start else { throw syntaxError("a whole number from 0") }
        return value
    }

    private mutating func object() throws(JSONError) -> JSONObject {
        var object = JSONObject()
        try openObject()
        while let key = try nextKey() {
            if options.refusesDuplicateKeys, object.contains(key) { throw error(.duplicateKey(key)) }
            object.set(key, try value())
        }
        return object
    }

    private mutating func array() throws(JSONError) -> [JSONValue] {
        var elements: [JSONValue] = []
        try openArray()
        while try nextElement() { elements.append(try value()) }
        return elements
    }

    private mutating func word(_ word: String, _ value: JSONValue) throws(JSONError) -> JSONValue {
        for byte in word.utf8 {
            guard skip(byte) else { throw syntaxError("a value") }
        }
        return value
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = offset
        let isInteger = try skipNumber()
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        if isInteger, let value = Int(text) { return .int(value) }
        guard let value = Double(text), value.isFinite || options.acceptsNonFinite else {
            throw error(.numberOutOfRange)
        }
        return .double(value)
    }

    /// Moves past `-? (0 | [1-9] digit*) (. digit+)? ([eE] [+-]? digit+)?` and says whether it is digits alone.
    mutating func skipNumber() throws(JSONError) -> Bool {
        let start = offset
        var isInteger = true
        if skip(UInt8(ascii: "-")), options.acceptsNonFinite, next == UInt8(ascii: "I") {
            _ = try word("Infinity", .null)
            return false
        }
        if !skip(UInt8(ascii: "0")) { try skipDigits(or: offset == start ? "a value" : "a digit") }
        if skip(UInt8(ascii: ".")) {
            isInteger = false
            try skipDigits(or: "a digit")
        }
        if skip(UInt8(ascii: "e")) || skip(UInt8(ascii: "E")) {
            isInteger = false
            if !skip(UInt8(ascii: "+")) { _ = skip(UInt8(ascii: "-")) }
            try skipDigits(or: "a digit")
        }
        guard offset - start <= Self.longestNumber else { throw error(.numberOutOfRange) }
        return isInteger
    }

    private mutating func skipDigits(or expected: String) throws(JSONError) {
        let start = offset
        while let byte = next, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { offset += 1 }
        guard offset > start else { throw syntaxError(expected) }
    }
}
