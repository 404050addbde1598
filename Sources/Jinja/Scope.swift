/// The variables of a loop pass, a macro call or a block; those of the template itself are the interpreter's.
final class Scope {
    /// Where names are looked up that are not here.
    let parent: Scope?
    private var bindings: [(identifier: Int, value: Value)] = []

    /// An empty scope inside another.
    init(parent: Scope?) {
        self.parent = parent
    }

    /// The value of a name of this scope or one round it.
    func value(_ identifier: Int) -> Value? {
        var scope: Scope? = self
        while let current = scope {
            for binding in current.bindings where binding.identifier == identifier { return binding.value }
            scope = current.parent
        }
        return nil
    }

    /// Sets a name in this scope.
    func set(_ identifier: Int, _ value: Value) {
        if let place = bindings.firstIndex(where: { $0.identifier == identifier }) {
            bindings[place].value = value
        } else {
            bindings.append((identifier, value))
        }
    }
}

/// A macro and the scope it was defined in.
struct Closure {
    /// What a call does.
    let macro: Macro
    /// Where its free names are looked up.
    let scope: Scope?
}

/// A namespace: the one kind of value that templates can change.
struct Namespace {
    /// The attributes in the order they were first set.
    private(set) var members: [(name: String, value: Value)] = []

    /// The attribute of that name.
    subscript(name: String) -> Value? {
        get { members.first { Text($0.name) == Text(name) }?.value }
        set {
            guard let newValue else { return }
            if let place = members.firstIndex(where: { Text($0.name) == Text(name) }) {
                members[place].value = newValue
            } else {
                members.append((name, newValue))
            }
        }
    }
}

/// What `loop` knows.
struct LoopState {
    /// What there is a pass for.
    let items: [Value]
    /// The pass, from 0.
    var index = 0
    /// What `loop.changed` saw last.
    var seen: Value?

    /// The attribute of that name.
    func attribute(_ name: String) -> Value? {
        switch name {
        case "index": .int(index + 1)
        case "index0": .int(index)
        case "revindex": .int(items.count - index)
        case "revindex0": .int(items.count - index - 1)
        case "first": .bool(index == 0)
        case "last": .bool(index == items.count - 1)
        case "length": .int(items.count)
        case "depth": .int(1)
        case "depth0": .int(0)
        case "previtem": index > 0 ? items[index - 1] : .undefined
        case "nextitem": index + 1 < items.count ? items[index + 1] : .undefined
        default: nil
        }
    }
}
