extension Interpreter {
    /// The value of an expression.
    mutating func evaluate(_ expression: Expression) throws(JinjaError) -> Value {
        try charge(1)
        try enter()
        line = expression.line
        let value = try compute(expression)
        leave()
        return value
    }

    // Every case that needs more than a line is a function of its own: this one is on the stack once a level.
    private mutating func compute(_ expression: Expression) throws(JinjaError) -> Value {
        switch expression.kind {
        case .constant(let value): value
        case .name(let identifier): variable(identifier)
        case .list(let parts): try list(evaluate(parts))
        case .tuple(let parts): try tuple(evaluate(parts))
        case .object(let members): try object(members)
        case .attribute(let operand, let name): try attribute(name, of: operand)
        case .item(let operand, let key): try item(key, of: operand)
        case .slice(let operand, let from, let to, let by): try slice(operand, from, to, by)
        case .call(let callee, let arguments): try call(callee, arguments, line: expression.line)
        case .filter(let operand, let call): try apply(call, to: evaluate(operand))
        case .test(let operand, let call): try test(operand, call)
        case .not(let operand): .bool(try !evaluate(operand).isTrue)
        case .negative(let operand): try negated(evaluate(operand))
        case .positive(let operand): try unchanged(evaluate(operand))
        case .and(let left, let right): try either(left, right, stopsAt: false)
        case .or(let left, let right): try either(left, right, stopsAt: true)
        case .arithmetic(let operation, let left, let right):
            try arithmetic(operation, left, right, line: expression.line)
        case .concatenation(let parts): try concatenation(parts)
        case .comparison(let first, let rest): try comparison(first, rest, line: expression.line)
        case .conditional(let test, let then, let otherwise): try conditional(test, then, otherwise)
        }
    }

    /// The values of expressions.
    mutating func evaluate(_ parts: [Expression]) throws(JinjaError) -> [Value] {
        var values: [Value] = []
        values.reserveCapacity(parts.count)
        for part in parts { values.append(try evaluate(part)) }
        return values
    }

    private mutating func object(
        _ members: [(key: Expression, value: Expression)]
    ) throws(JinjaError) -> Value {
        var values: [OrderedObject.Member] = []
        for member in members { values.append((try evaluate(member.key), try evaluate(member.value))) }
        return try object(values)
    }

    private mutating func either(
        _ left: Expression, _ right: Expression, stopsAt decisive: Bool
    ) throws(JinjaError) -> Value {
        let value = try evaluate(left)
        return value.isTrue == decisive ? value : try evaluate(right)
    }

    private mutating func conditional(
        _ test: Expression, _ then: Expression, _ otherwise: Expression?
    ) throws(JinjaError) -> Value {
        if try evaluate(test).isTrue { return try evaluate(then) }
        return try otherwise.map { other throws(JinjaError) in try evaluate(other) } ?? .undefined
    }

    private mutating func concatenation(_ parts: [Expression]) throws(JinjaError) -> Value {
        var result = ""
        for part in parts {
            result += try string(evaluate(part))
            guard result.utf8.count <= limits.maxOutputBytes else { throw .exceeded(line: line, .output) }
        }
        return try text(result)
    }

    private mutating func arithmetic(
        _ operation: Arithmetic, _ left: Expression, _ right: Expression, line: Int
    ) throws(JinjaError) -> Value {
        let left = try evaluate(left)
        let right = try evaluate(right)
        self.line = line
        return try compute(operation, left, right)
    }

    private mutating func comparison(
        _ first: Expression, _ rest: [(comparison: Comparison, operand: Expression)], line: Int
    ) throws(JinjaError) -> Value {
        var left = try evaluate(first)
        for (comparison, operand) in rest {
            let right = try evaluate(operand)
            self.line = line
            guard try holds(comparison, left, right) else { return .bool(false) }
            left = right
        }
        return .bool(true)
    }
}

extension Interpreter {
    private mutating func attribute(_ name: String, of operand: Expression) throws(JinjaError) -> Value {
        let value = try evaluate(operand)
        if value.isUndefined { throw failure("\(naming(operand)) is undefined; it has no '\(name)'") }
        return attribute(name, of: value)
    }

    private mutating func item(_ key: Expression, of operand: Expression) throws(JinjaError) -> Value {
        let value = try evaluate(operand)
        let key = try evaluate(key)
        if value.isUndefined { throw failure("\(naming(operand)) is undefined; it has no items") }
        return try item(key, of: value)
    }

    /// How a message names an operand.
    func naming(_ operand: Expression) -> String {
        switch operand.kind {
        case .name(let identifier): "'\(names[identifier])'"
        case .attribute(_, let name): "attribute '\(name)'"
        case .item(_, let key):
            if case .constant(.string(let name)) = key.kind { "item '\(name)'" } else { "an item" }
        default: "a value"
        }
    }

    /// `value.name`: methods come before members.
    func attribute(_ name: String, of value: Value) -> Value {
        if Methods.has(name, value) { return .runtime(.method(of: value, name: name)) }
        return member(name, of: value) ?? .undefined
    }

    /// A member by its name, of the values that have such.
    private func member(_ name: String, of value: Value) -> Value? {
        switch value {
        case .object(let object): object[name]
        case .runtime(.namespace(let index)):
            namespaces.indices.contains(index) ? namespaces[index][name] : nil
        case .runtime(.loop(let index)):
            loops.indices.contains(index) ? loops[index].attribute(name) : nil
        case .runtime(.macro(let index)):
            name == "name" && macros.indices.contains(index) ? .string(macros[index].macro.name) : nil
        default: nil
        }
    }

    /// `value[key]`: members come before methods.
    mutating func item(_ key: Value, of value: Value) throws(JinjaError) -> Value {
        switch (value, key) {
        case (.object(let object), _):
            if let found = object[key: key] { return found }
        case (.list(let list), .int), (.tuple(let list), .int), (.list(let list), .bool),
            (.tuple(let list), .bool):
            return Slices.item(of: list.items, at: key.integer ?? 0) ?? .undefined
        case (.string(let string), .int), (.string(let string), .bool):
            try charge(reading: value)
            return Slices.scalar(of: string, at: key.integer ?? 0).map(Value.string) ?? .undefined
        default: break
        }
        guard case .string(let name) = key else { return .undefined }
        return attribute(name, of: value)
    }

    private mutating func slice(
        _ operand: Expression, _ from: Expression?, _ to: Expression?, _ by: Expression?
    ) throws(JinjaError) -> Value {
        let value = try evaluate(operand)
        let from = try bound(from)
        let to = try bound(to)
        let step = try bound(by) ?? 1
        guard step != 0 else { throw failure("a slice by steps of 0") }
        try charge(reading: value)
        switch value {
        case .list(let items):
            return try list(Slices.slice(items.items, from: from, to: to, by: step))
        case .tuple(let items):
            return try tuple(Slices.slice(items.items, from: from, to: to, by: step))
        case .string(let string):
            return try text(Slices.slice(string, from: from, to: to, by: step))
        case .undefined:
            throw failure("\(naming(operand)) is undefined; it has no items")
        default:
            throw failure("a \(value.typeName) has no slices")
        }
    }

    private mutating func bound(_ expression: Expression?) throws(JinjaError) -> Int? {
        guard let expression else { return nil }
        let value = try evaluate(expression)
        if case .none = value { return nil }
        guard let integer = value.integer else { throw failure("a slice needs whole numbers") }
        return integer
    }
}
