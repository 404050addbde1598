extension Interpreter {
    /// Defines a macro in the scope that is current.
    mutating func define(_ macro: Macro) throws(JinjaError) {
        try charge(8)
        macros.append(Closure(macro: macro, scope: scope))
        setVariable(macro.identifier, .runtime(.macro(macros.count - 1)))
    }

    /// Calls a macro that may write the block's body through `caller`.
    mutating func run(_ block: Macro, around call: Expression) throws(JinjaError) {
        guard case .call(let callee, let arguments) = call.kind else { return }
        try charge(8)
        macros.append(Closure(macro: block, scope: scope))
        let caller = Value.runtime(.macro(macros.count - 1))
        let value = try evaluate(callee)
        var values = try evaluate(arguments)
        values.named.append(("caller", caller))
        line = call.line
        try write(string(self.call(value, values, naming: callee)))
    }

    /// `callee(arguments)`.
    mutating func call(
        _ callee: Expression, _ arguments: CallArguments, line: Int
    ) throws(JinjaError) -> Value {
        if case .attribute(let operand, let name) = callee.kind {
            let receiver = try evaluate(operand)
            if Methods.has(name, receiver) {
                let values = try evaluate(arguments)
                self.line = line
                return try call(name, of: receiver, values)
            }
            if receiver.isUndefined { throw failure("\(naming(operand)) is undefined; it has no '\(name)'") }
            let value = attribute(name, of: receiver)
            let values = try evaluate(arguments)
            self.line = line
            return try call(value, values, naming: callee)
        }
        let value = try evaluate(callee)
        let values = try evaluate(arguments)
        self.line = line
        return try call(value, values, naming: callee)
    }

    private mutating func call(
        _ value: Value, _ arguments: Arguments, naming callee: Expression
    ) throws(JinjaError) -> Value {
        switch value {
        case .runtime(.function(let function)): return try call(function, arguments)
        case .runtime(.macro(let index)):
            guard macros.indices.contains(index) else { return .undefined }
            return try call(macros[index], arguments)
        case .runtime(.method(let receiver, let name)): return try call(name, of: receiver, arguments)
        case .undefined: throw failure("\(naming(callee)) is undefined and cannot be called")
        default: throw failure("\(naming(callee)) is a \(value.typeName) and cannot be called")
        }
    }

    private mutating func call(_ closure: Closure, _ arguments: Arguments) throws(JinjaError) -> Value {
        let macro = closure.macro
        let inner = Scope(parent: closure.scope)
        let outer = scope
        // A call counts for several levels: there is more on the stack for it.
        try enter(3)
        scope = inner
        var named = arguments.named
        for (index, parameter) in macro.parameters.enumerated() {
            if index < arguments.positional.count {
                inner.set(parameter.identifier, arguments.positional[index])
            } else if let place = named.firstIndex(where: { Text($0.name) == Text(parameter.name) }) {
                inner.set(parameter.identifier, named.remove(at: place).value)
            } else {
                inner.set(parameter.identifier, .undefined)
                if let fallback = parameter.fallback {
                    inner.set(parameter.identifier, try evaluate(fallback))
                }
            }
        }
        try bindRest(of: macro, arguments.positional.dropFirst(macro.parameters.count), named, in: inner)
        let result = try capture(macro.body, in: inner)
        scope = outer
        leave(3)
        return .string(result)
    }

    // What the parameters did not take.
    private mutating func bindRest(
        of macro: Macro, _ positional: ArraySlice<Value>, _ named: [(name: String, value: Value)],
        in inner: Scope
    ) throws(JinjaError) {
        var named = named
        if macro.usesCaller, let identifier = names.firstIndex(of: "caller"),
            !macro.parameters.contains(where: { $0.identifier == identifier })
        {
            let place = named.firstIndex { $0.name == "caller" }
            inner.set(identifier, place.map { named.remove(at: $0).value } ?? .undefined)
        }
        if macro.usesKeywords, let identifier = names.firstIndex(of: "kwargs") {
            inner.set(identifier, try object(named.map { (.string($0.name), $0.value) }))
        } else if let extra = named.first {
            throw failure("macro '\(macro.name)' takes no argument '\(extra.name)' here")
        }
        if macro.usesRest, let identifier = names.firstIndex(of: "varargs") {
            inner.set(identifier, try tuple(Array(positional)))
        } else if !positional.isEmpty {
            throw failure("macro '\(macro.name)' takes \(macro.parameters.count) arguments at most")
        }
    }
}
