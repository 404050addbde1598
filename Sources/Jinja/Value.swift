/// What a template computes with.
package enum Value: Sendable {
    case undefined
    case none
    case bool(Bool)
    case int(Int)
    case double(Double)
    case string(String)
    case list(List)
    case tuple(List)
    case object(OrderedObject)
    /// Something that only exists while rendering; callers have no use for it.
    case runtime(RuntimeValue)

    /// A list of these values.
    package static func array(_ items: [Value]) -> Value { .list(List(items)) }

    /// A dict of these members, in this order.
    package static func members(_ members: [(String, Value)]) -> Value { .object(OrderedObject(members)) }

    /// How many lists and dicts are inside each other here.
    var depth: Int {
        switch self {
        case .list(let list), .tuple(let list): list.depth
        case .object(let object): object.depth
        default: 0
        }
    }

    /// Whether `if` takes the branch.
    var isTrue: Bool {
        switch self {
        case .undefined, .none: false
        case .bool(let bool): bool
        case .int(let int): int != 0
        case .double(let double): double != 0
        case .string(let string): !string.isEmpty
        case .list(let list), .tuple(let list): !list.items.isEmpty
        case .object(let object): object.count > 0
        case .runtime: true
        }
    }

    /// Whether nothing was found.
    var isUndefined: Bool {
        if case .undefined = self { true } else { false }
    }

    /// Python's name of the type, for messages.
    var typeName: String {
        switch self {
        case .undefined: "Undefined"
        case .none: "NoneType"
        case .bool: "bool"
        case .int: "int"
        case .double: "float"
        case .string: "str"
        case .list: "list"
        case .tuple: "tuple"
        case .object: "dict"
        case .runtime(let value): value.typeName
        }
    }

    /// The whole number of an int or a bool.
    var integer: Int? {
        switch self {
        case .int(let int): int
        case .bool(let bool): bool ? 1 : 0
        default: nil
        }
    }

    /// The number of an int, a bool or a float.
    var number: Double? {
        if case .double(let double) = self { double } else { integer.map(Double.init) }
    }
}

/// Values of a render: references into the interpreter's tables, and what can be called.
package indirect enum RuntimeValue: Sendable {
    case namespace(Int)
    case macro(Int)
    case loop(Int)
    case function(Function)
    case method(of: Value, name: String)

    /// A name for messages and printing.
    var typeName: String {
        switch self {
        case .namespace: "Namespace"
        case .macro: "Macro"
        case .loop: "LoopContext"
        case .function: "function"
        case .method: "method"
        }
    }
}

/// The items of a list or tuple, knowing how deeply they nest.
package struct List: Sendable, ExpressibleByArrayLiteral {
    /// The items in order.
    package let items: [Value]
    /// One more than the deepest item.
    let depth: Int

    /// A list of these items.
    package init(_ items: [Value]) {
        self.items = items
        depth = items.reduce(0) { max($0, $1.depth) } + 1
    }

    /// A list of these items.
    package init(arrayLiteral elements: Value...) {
        self.init(elements)
    }
}
