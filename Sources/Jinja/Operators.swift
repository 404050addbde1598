/// Python's arithmetic on machine integers.
enum Operators {
    /// The quotient rounded down; the divisor is neither 0 nor -1.
    static func floorDivide(_ left: Int, _ right: Int) -> Int {
        let quotient = left / right
        return left % right != 0 && (left < 0) != (right < 0) ? quotient - 1 : quotient
    }

    /// The remainder with the divisor's sign; the divisor is neither 0 nor -1.
    static func floorRemainder(_ left: Int, _ right: Int) -> Int {
        let remainder = left % right
        return remainder != 0 && (remainder < 0) != (right < 0) ? remainder + right : remainder
    }

    /// The same for floats.
    static func floorRemainder(_ left: Double, _ right: Double) -> Double {
        let remainder = left.truncatingRemainder(dividingBy: right)
        return remainder != 0 && (remainder < 0) != (right < 0) ? remainder + right : remainder
    }

    /// A whole power, or nothing if it is too large.
    static func power(_ base: Int, _ exponent: Int) -> Int? {
        var result = 1
        var factor = base
        var left = exponent
        while left > 0 {
            if left & 1 == 1 {
                let (product, overflow) = result.multipliedReportingOverflow(by: factor)
                if overflow { return nil }
                result = product
            }
            left >>= 1
            guard left > 0 else { break }
            let (square, overflow) = factor.multipliedReportingOverflow(by: factor)
            if overflow { return nil }
            factor = square
        }
        return result
    }

    /// A float's power of a whole number.
    static func power(_ base: Double, _ exponent: Int) -> Double {
        var result = 1.0
        var factor = base
        var left = exponent.magnitude
        while left > 0 {
            if left & 1 == 1 { result *= factor }
            factor *= factor
            left >>= 1
        }
        return exponent < 0 ? 1 / result : result
    }
}

extension Interpreter {
    /// `left operation right`.
    mutating func compute(_ operation: Arithmetic, _ left: Value, _ right: Value) throws(JinjaError) -> Value
    {
        if let left = left.integer, let right = right.integer { return try compute(operation, left, right) }
        if let left = left.number, let right = right.number { return try compute(operation, left, right) }
        switch (operation, left, right) {
        case (.add, .string(let left), .string(let right)):
            return try text(left + right)
        case (.add, .list(let left), .list(let right)):
            return try list(left.items + right.items)
        case (.add, .tuple(let left), .tuple(let right)):
            return try tuple(left.items + right.items)
        case (.multiply, .string, _), (.multiply, .list, _), (.multiply, .tuple, _):
            if let count = right.integer { return try repeated(left, count) }
        case (.multiply, _, .string), (.multiply, _, .list), (.multiply, _, .tuple):
            if let count = left.integer { return try repeated(right, count) }
        case (.remainder, .string(let format), _):
            let arguments: [Value] = if case .tuple(let tuple) = right { tuple.items } else { [right] }
            return try percentFormat(format, arguments)
        default: break
        }
        throw failure("'\(operation.rawValue)' does not work on \(left.typeName) and \(right.typeName)")
    }

    private mutating func repeated(_ value: Value, _ count: Int) throws(JinjaError) -> Value {
        let count = max(count, 0)
        switch value {
        case .string(let string):
            let (bytes, overflow) = string.utf8.count.multipliedReportingOverflow(by: count)
            guard !overflow, bytes <= limits.maxOutputBytes else { throw .exceeded(line: line, .output) }
            return try text(string.isEmpty ? "" : String(repeating: string, count: count))
        case .list(let list):
            return try self.list(repeated(list.items, count))
        case .tuple(let list):
            return try tuple(repeated(list.items, count))
        default:
            return .undefined
        }
    }

    private mutating func repeated(_ items: [Value], _ count: Int) throws(JinjaError) -> [Value] {
        guard !items.isEmpty else { return [] }
        let (total, overflow) = items.count.multipliedReportingOverflow(by: count)
        guard !overflow else { throw .exceeded(line: line, .steps) }
        try charge(total >> 2)
        var result: [Value] = []
        result.reserveCapacity(total)
        for _ in 0..<count { result += items }
        return result
    }

    private func compute(_ operation: Arithmetic, _ left: Int, _ right: Int) throws(JinjaError) -> Value {
        let result: (partialValue: Int, overflow: Bool)
        switch operation {
        case .add: result = left.addingReportingOverflow(right)
        case .subtract: result = left.subtractingReportingOverflow(right)
        case .multiply: result = left.multipliedReportingOverflow(by: right)
        case .divide: return try compute(operation, Double(left), Double(right))
        case .floorDivide, .remainder:
            guard right != 0 else { throw failure("division by zero") }
            if right == -1 {
                result = operation == .remainder ? (0, false) : (0).subtractingReportingOverflow(left)
            } else {
                result = (
                    operation == .remainder
                        ? Operators.floorRemainder(left, right) : Operators.floorDivide(left, right), false
                )
            }
        case .power:
            if right < 0 { return try compute(operation, Double(left), Double(right)) }
            guard let power = Operators.power(left, right) else { throw failure("a number out of range") }
            return .int(power)
        }
        guard !result.overflow else { throw failure("a number out of range") }
        return .int(result.partialValue)
    }

    private func compute(_ operation: Arithmetic, _ left: Double, _ right: Double) throws(JinjaError) -> Value
    {
        if right == 0, [.divide, .floorDivide, .remainder].contains(operation) {
            throw failure("division by zero")
        }
        switch operation {
        case .add: return .double(left + right)
        case .subtract: return .double(left - right)
        case .multiply: return .double(left * right)
        case .divide: return .double(left / right)
        case .floorDivide: return .double((left / right).rounded(.down))
        case .remainder: return .double(Operators.floorRemainder(left, right))
        case .power:
            if right == 0.5 { return .double(left.squareRoot()) }
            guard let exponent = Int(exactly: right), left != 0 || exponent >= 0 else {
                throw failure("a power that is not supported")
            }
            return .double(Operators.power(left, exponent))
        }
    }

    /// `-value`.
    func negated(_ value: Value) throws(JinjaError) -> Value {
        if case .double(let double) = value { return .double(-double) }
        guard let integer = value.integer else { throw failure("'-' does not work on \(value.typeName)") }
        return try compute(.subtract, 0, integer)
    }

    /// `+value`.
    func unchanged(_ value: Value) throws(JinjaError) -> Value {
        if case .double = value { return value }
        guard let integer = value.integer else { throw failure("'+' does not work on \(value.typeName)") }
        return .int(integer)
    }
}
