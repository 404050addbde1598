extension Interpreter {
    /// How a run of statements ended.
    enum Ending {
        case done
        case leavesLoop
        case nextPass
    }

    /// Runs statements until the last, or one that ends a loop's pass.
    mutating func execute(_ statements: [Statement]) throws(JinjaError) -> Ending {
        try enter()
        for statement in statements {
            try charge(1)
            let ending = try execute(statement)
            if ending != .done {
                leave()
                return ending
            }
        }
        leave()
        return .done
    }

    private mutating func execute(_ statement: Statement) throws(JinjaError) -> Ending {
        switch statement {
        case .text(let text): try write(text)
        case .print(let expression): try print(expression)
        case .conditional(let branches, let otherwise): return try conditional(branches, otherwise)
        case .loop(let loop): try run(loop)
        case .assign(let target, let expression): try assign(evaluate(expression), to: target)
        case .capture(let target, let filters, let body):
            try assign(apply(filters, to: capture(body, in: Scope(parent: scope))), to: target)
        case .macro(let macro): try define(macro)
        case .call(let block, let call): try run(block, around: call)
        case .scoped(let body): try write(capture(body, in: Scope(parent: scope)))
        case .with(let bindings, let body): return try with(bindings, body)
        case .filtered(let filters, let body):
            try write(string(apply(filters, to: capture(body, in: Scope(parent: scope)))))
        case .leaveLoop: return .leavesLoop
        case .nextPass: return .nextPass
        }
        return .done
    }

    private mutating func print(_ expression: Expression) throws(JinjaError) {
        let value = try evaluate(expression)
        if case .string(let string) = value {
            try write(string)
        } else {
            try write(string(value))
        }
    }

    private mutating func conditional(
        _ branches: [(test: Expression, body: [Statement])], _ otherwise: [Statement]
    ) throws(JinjaError) -> Ending {
        for branch in branches where try evaluate(branch.test).isTrue {
            return try execute(branch.body)
        }
        return try execute(otherwise)
    }

    private mutating func with(
        _ bindings: [(target: Target, value: Expression)], _ body: [Statement]
    ) throws(JinjaError) -> Ending {
        let inner = Scope(parent: scope)
        var values: [Value] = []
        for binding in bindings { values.append(try evaluate(binding.value)) }
        scope = inner
        for (binding, value) in zip(bindings, values) { try assign(value, to: binding.target) }
        let ending = try execute(body)
        scope = inner.parent
        return ending
    }

    /// The text that statements write in a scope of their own.
    mutating func capture(_ body: [Statement], in inner: Scope) throws(JinjaError) -> String {
        let outer = (scope: scope, output: output)
        scope = inner
        output = ""
        _ = try execute(body)
        let text = output
        (scope, output) = outer
        return text
    }

    private mutating func apply(_ filters: [FilterCall], to text: String) throws(JinjaError) -> Value {
        var value = Value.string(text)
        for filter in filters { value = try apply(filter, to: value) }
        return value
    }

    /// Stores a value, taking it apart if the target is a tuple.
    mutating func assign(_ value: Value, to target: Target) throws(JinjaError) {
        switch target {
        case .name(let identifier):
            setVariable(identifier, value)
        case .attribute(let identifier, let name):
            guard case .runtime(.namespace(let index)) = variable(identifier),
                namespaces.indices.contains(index)
            else {
                throw failure("only a namespace's attributes can be set, and '\(names[identifier])' is none")
            }
            try charge(namespaces[index].members.count >> 3)
            namespaces[index][name] = value
        case .tuple(let targets):
            let items = try items(of: value)
            guard items.count == targets.count else {
                throw failure("\(items.count) values for \(targets.count) names")
            }
            for (target, item) in zip(targets, items) { try assign(item, to: target) }
        }
    }
}

extension Interpreter {
    private mutating func run(_ loop: Loop) throws(JinjaError) {
        line = loop.line
        let outer = scope
        let items = try passes(of: loop)
        scope = Scope(parent: outer)
        defer { scope = outer }
        guard !items.isEmpty else {
            _ = try execute(loop.otherwise)
            return
        }
        let place = loops.count
        loops.append(LoopState(items: items))
        defer { loops.removeSubrange(place...) }
        for (index, item) in items.enumerated() {
            try charge(1)
            line = loop.line
            let inner = Scope(parent: outer)
            inner.set(Self.loopIdentifier, .runtime(.loop(place)))
            scope = inner
            loops[place].index = index
            try assign(item, to: loop.target)
            if try execute(loop.body) == .leavesLoop { return }
        }
    }

    // What is looped over, less what the loop's condition leaves out.
    private mutating func passes(of loop: Loop) throws(JinjaError) -> [Value] {
        let items = try items(of: evaluate(loop.items))
        guard let condition = loop.condition else { return items }
        let outer = scope
        defer { scope = outer }
        var kept: [Value] = []
        for item in items {
            try charge(1)
            scope = Scope(parent: outer)
            try assign(item, to: loop.target)
            if try evaluate(condition).isTrue { kept.append(item) }
        }
        return kept
    }
}
