/// The values of a call's arguments.
struct Arguments {
    /// Arguments without names.
    var positional: [Value] = []
    /// Arguments with names.
    var named: [(name: String, value: Value)] = []
}

extension Interpreter {
    /// The values of what stands between a call's parentheses.
    mutating func evaluate(_ arguments: CallArguments) throws(JinjaError) -> Arguments {
        var result = Arguments(positional: try evaluate(arguments.positional))
        for (name, value) in arguments.named { result.named.append((name, try evaluate(value))) }
        if let unpacked = arguments.unpacked { result.positional += try items(of: evaluate(unpacked)) }
        if let unpacked = arguments.unpackedNamed {
            guard case .object(let object) = try evaluate(unpacked) else {
                throw failure("'**' unpacks dicts only")
            }
            for member in object.members {
                guard case .string(let name) = member.key else {
                    throw failure("names of arguments are strings")
                }
                result.named.append((name, member.value))
            }
        }
        return result
    }

    /// Arguments in the order of a callee's parameters; those not given are absent.
    func bind(
        _ arguments: Arguments, to parameters: [String], of callee: String
    ) throws(JinjaError) -> [Value?] {
        guard arguments.positional.count <= parameters.count else {
            throw failure("'\(callee)' takes \(parameters.count) arguments at most")
        }
        var bound: [Value?] = arguments.positional
        bound += [Value?](repeating: nil, count: parameters.count - bound.count)
        for (name, value) in arguments.named {
            guard let place = parameters.firstIndex(where: { Text($0) == Text(name) }), bound[place] == nil
            else {
                throw failure("'\(callee)' takes no argument '\(name)' here")
            }
            bound[place] = value
        }
        return bound
    }

    /// A whole number of an argument, or a fallback if it is absent or None.
    func integer(_ value: Value?, or fallback: Int, of callee: String) throws(JinjaError) -> Int {
        switch value {
        case nil, .some(.none): return fallback
        case .some(let value):
            guard let integer = value.integer else { throw failure("'\(callee)' needs a whole number") }
            return integer
        }
    }

    /// The string of an argument, or a fallback if it is absent or None.
    func string(_ value: Value?, or fallback: String, of callee: String) throws(JinjaError) -> String {
        switch value {
        case nil, .some(.none): return fallback
        case .some(.string(let string)): return string
        default: throw failure("'\(callee)' needs a string")
        }
    }
}
