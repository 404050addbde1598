/// The tests that can follow `is`.
enum ValueTest: String, Sendable {
    case defined, undefined, none, boolean, integer, float, number, string, mapping, iterable, sequence,
        callable
    case lower, upper, even, odd, divisibleby, sameas, filter, test
    case `true`, `false`
    case `in`
    case eq, equalto, ne, lt, lessthan, le, gt, greaterthan, ge
    case equalSign = "=="
    case unequalSign = "!="
    case lessSign = "<"
    case lessOrEqualSign = "<="
    case greaterSign = ">"
    case greaterOrEqualSign = ">="

    /// The operator it is another name of.
    var comparison: Comparison? {
        switch self {
        case .eq, .equalto, .equalSign: .equal
        case .ne, .unequalSign: .unequal
        case .lt, .lessthan, .lessSign: .less
        case .le, .lessOrEqualSign: .lessOrEqual
        case .gt, .greaterthan, .greaterSign: .greater
        case .ge, .greaterOrEqualSign: .greaterOrEqual
        case .in: .within
        default: nil
        }
    }
}

extension Interpreter {
    /// `operand is test`.
    mutating func test(_ operand: Expression, _ call: TestCall) throws(JinjaError) -> Value {
        let value = try evaluate(operand)
        let arguments = try evaluate(call.arguments)
        guard let test = call.test else { throw failure("the test '\(call.name)' does not exist here") }
        return .bool(try passes(test, value, arguments))
    }

    /// Whether a value passes a test.
    mutating func passes(_ test: ValueTest, _ value: Value, _ arguments: Arguments) throws(JinjaError) -> Bool
    {
        if let comparison = test.comparison {
            return try holds(comparison, value, argument(of: test, arguments))
        }
        switch test {
        case .even, .odd, .divisibleby: return try divides(test, value, arguments)
        case .sameas: return try isSame(value, argument(of: test, arguments))
        case .lower, .upper:
            let text = try string(value)
            try charge(text.utf8.count >> 5)
            return PythonText.isCased(text, by: test == .lower ? PythonText.lower : PythonText.upper)
        case .filter:
            guard case .string(let name) = value else { return false }
            return Filter(rawValue: name) != nil
        case .test:
            guard case .string(let name) = value else { return false }
            return ValueTest(rawValue: name) != nil
        default: return isOfKind(test, value)
        }
    }

    private func argument(of test: ValueTest, _ arguments: Arguments) throws(JinjaError) -> Value {
        guard let value = arguments.positional.first ?? arguments.named.first?.value else {
            throw failure("the test '\(test.rawValue)' needs a value")
        }
        return value
    }

    private func divides(_ test: ValueTest, _ value: Value, _ arguments: Arguments) throws(JinjaError) -> Bool
    {
        let divisor = test == .divisibleby ? try argument(of: test, arguments) : .int(2)
        guard let divisor = divisor.integer, let number = value.integer else {
            throw failure("the test '\(test.rawValue)' needs whole numbers")
        }
        guard divisor != 0 else { throw failure("division by zero") }
        let remainder = divisor == -1 ? 0 : Operators.floorRemainder(number, divisor)
        return test == .odd ? remainder == 1 : remainder == 0
    }

    private func isOfKind(_ test: ValueTest, _ value: Value) -> Bool {
        switch (test, value) {
        case (.defined, _): !value.isUndefined
        case (.undefined, .undefined), (.none, .none), (.boolean, .bool), (.integer, .int), (.float, .double):
            true
        case (.number, .int), (.number, .double), (.number, .bool): true
        case (.string, .string), (.mapping, .object): true
        case (.true, .bool(let bool)): bool
        case (.false, .bool(let bool)): !bool
        case (.iterable, .string), (.iterable, .list), (.iterable, .tuple), (.iterable, .object): true
        case (.iterable, .undefined), (.iterable, .runtime(.loop)): true
        case (.sequence, .string), (.sequence, .list), (.sequence, .tuple), (.sequence, .object): true
        case (.sequence, .undefined): true
        case (.callable, .runtime(let value)): isCallable(value)
        case (.callable, .undefined): true
        default: false
        }
    }

    private func isCallable(_ value: RuntimeValue) -> Bool {
        if case .namespace = value { false } else { true }
    }

    private mutating func isSame(_ left: Value, _ right: Value) throws(JinjaError) -> Bool {
        switch (left, right) {
        case (.bool(let left), .bool(let right)): left == right
        case (.int, .int), (.none, .none), (.string, .string): try equal(left, right)
        case (.runtime, .runtime): try equal(left, right)
        default: false
        }
    }
}
