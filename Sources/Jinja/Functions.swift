/// The functions every template has.
package enum Function: String, Sendable {
    case range
    case dict
    case namespace
    case raiseException = "raise_exception"
    case strftimeNow = "strftime_now"
}

extension Interpreter {
    /// Longest `range`, the same as jinja2's sandbox has.
    private static let maxRange = 100_000

    /// Calls a function.
    mutating func call(_ function: Function, _ arguments: Arguments) throws(JinjaError) -> Value {
        switch function {
        case .range: return try range(arguments)
        case .dict: return try object(members(arguments, of: "dict"))
        case .namespace:
            var namespace = Namespace()
            for member in try members(arguments, of: "namespace") {
                namespace[string(of: member.key)] = member.value
            }
            try charge(16 + namespace.members.count)
            namespaces.append(namespace)
            return .runtime(.namespace(namespaces.count - 1))
        case .raiseException:
            let message = try bind(arguments, to: ["message"], of: "raise_exception")[0]
            throw .raised(try string(message ?? .undefined))
        case .strftimeNow:
            let format = try bind(arguments, to: ["format"], of: "strftime_now")[0]
            guard case .string(let format)? = format, let now else {
                throw failure("'strftime_now' needs a format")
            }
            return try text(now.formatted(format))
        }
    }

    private func string(of key: Value) -> String {
        if case .string(let string) = key { string } else { "" }
    }

    // The members of a dict or of pairs, and the named arguments after them.
    private mutating func members(
        _ arguments: Arguments, of callee: String
    ) throws(JinjaError) -> [OrderedObject.Member] {
        var result: [OrderedObject.Member] = []
        guard arguments.positional.count <= 1 else { throw failure("'\(callee)' takes 1 argument at most") }
        if let first = arguments.positional.first {
            if case .object(let object) = first {
                result = object.members
            } else {
                for item in try items(of: first) {
                    let pair = try items(of: item)
                    guard pair.count == 2 else { throw failure("'\(callee)' needs pairs") }
                    result.append((pair[0], pair[1]))
                }
            }
        }
        for (name, value) in arguments.named { result.append((.string(name), value)) }
        return result
    }

    private mutating func range(_ arguments: Arguments) throws(JinjaError) -> Value {
        var bounds: [Int] = []
        for argument in arguments.positional {
            guard let bound = argument.integer else { throw failure("'range' needs whole numbers") }
            bounds.append(bound)
        }
        guard (1...3).contains(bounds.count), arguments.named.isEmpty else {
            throw failure("'range' takes 1 to 3 arguments")
        }
        let start = bounds.count == 1 ? 0 : bounds[0]
        let end = bounds.count == 1 ? bounds[0] : bounds[1]
        let step = bounds.count == 3 ? bounds[2] : 1
        guard step != 0 else { throw failure("'range' by steps of 0") }
        guard step > 0 ? start < end : start > end else { return .array([]) }
        let (distance, overflow) =
            step > 0
            ? end.subtractingReportingOverflow(start) : start.subtractingReportingOverflow(end)
        guard !overflow, UInt(distance - 1) / step.magnitude < UInt(Self.maxRange) else {
            throw failure("a range of more than \(Self.maxRange) numbers")
        }
        try charge(Int((UInt(distance - 1) / step.magnitude) >> 2))
        return try list(stride(from: start, to: end, by: step).map(Value.int))
    }
}
