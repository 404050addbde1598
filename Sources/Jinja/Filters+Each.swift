extension Interpreter {
    /// Filters that apply a filter or a test to each item.
    mutating func applyToEach(
        _ filter: Filter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        // Nothing is gone through as nothing, even what could not be gone through.
        guard value.isTrue else { return .array([]) }
        switch filter {
        case .map: return try mapped(value, arguments)
        case .select, .reject:
            return try selected(value, arguments, by: nil, keeps: filter == .select)
        default:
            guard let path = arguments.positional.first else {
                throw failure("'\(filter.rawValue)' needs a name")
            }
            let rest = Arguments(positional: Array(arguments.positional.dropFirst()), named: arguments.named)
            return try selected(value, rest, by: path, keeps: filter == .selectattr)
        }
    }

    private mutating func mapped(_ value: Value, _ arguments: Arguments) throws(JinjaError) -> Value {
        var result: [Value] = []
        let items = try items(of: value)
        if arguments.positional.isEmpty, arguments.named.contains(where: { $0.name == "attribute" }) {
            let bound = try bind(arguments, to: ["attribute", "default"], of: "map")
            for item in items {
                try charge(1)
                let found = try follow(bound[0] ?? .undefined, from: item, or: bound[1])
                result.append(found)
            }
            return try list(result)
        }
        guard case .string(let name)? = arguments.positional.first else {
            throw failure("'map' needs a filter")
        }
        guard let filter = Filter(rawValue: name) else {
            throw failure("the filter '\(name)' does not exist here")
        }
        let rest = Arguments(positional: Array(arguments.positional.dropFirst()), named: arguments.named)
        try enter()
        for item in items { result.append(try apply(filter, to: item, rest)) }
        leave()
        return try list(result)
    }

    private mutating func selected(
        _ value: Value, _ arguments: Arguments, by path: Value?, keeps: Bool
    ) throws(JinjaError) -> Value {
        var test: ValueTest?
        if let name = arguments.positional.first {
            guard case .string(let name) = name, let known = ValueTest(rawValue: name) else {
                throw failure("a test that does not exist here")
            }
            test = known
        }
        let rest = Arguments(positional: Array(arguments.positional.dropFirst()), named: arguments.named)
        var result: [Value] = []
        for item in try items(of: value) {
            try charge(1)
            let subject = try path.map { path throws(JinjaError) in try follow(path, from: item) } ?? item
            let holds =
                try test.map { test throws(JinjaError) in try passes(test, subject, rest) } ?? subject.isTrue
            if holds == keeps { result.append(item) }
        }
        return try list(result)
    }

    /// What a dotted path leads to; numbers in it are indices.
    mutating func follow(_ path: Value, from value: Value, or fallback: Value? = nil) throws(JinjaError)
        -> Value
    {
        guard case .string(let text) = path else { return try item(path, of: value) }
        var current = value
        for part in text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
            try charge(1)
            if current.isUndefined { throw failure("an undefined value has no attributes") }
            let name = String(decoding: part, as: UTF8.self)
            let isIndex =
                !part.isEmpty && part.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            current = try item(isIndex ? Int(name).map(Value.int) ?? .undefined : .string(name), of: current)
            if current.isUndefined, let fallback { current = fallback }
        }
        return current
    }
}
