/// Walks a template's statements once, within limits.
///
/// Everything that takes time or memory is paid for in steps: one for a statement, expression or loop pass,
/// and a share of what is read or made (64 bytes of text or 4 items for a step). What one step costs is
/// bounded, so the limit bounds time and memory. Values nest no deeper than the limit, so walking one needs
/// no further check.
struct Interpreter {
    /// The template's names, by identifier.
    let names: [String]
    /// What the render may use.
    let limits: RenderLimits
    /// What `strftime_now` shows.
    let now: Moment?
    /// Where errors happen.
    var line = 1
    /// What the statements wrote: the result, or the text of a macro or block within it.
    var output = ""
    /// The variables of the template itself, by identifier.
    var root: [Value?]
    /// The innermost scope; nothing at the template's own level.
    var scope: Scope?
    /// Macros that were defined.
    var macros: [Closure] = []
    /// Namespaces that were made.
    var namespaces: [Namespace] = []
    /// Loops that are running.
    var loops: [LoopState] = []
    private var steps = 0
    private var depth = 0

    /// The identifier of `loop`, which the parser gives out first.
    static let loopIdentifier = 0
    /// Statements and expressions inside each other, for each macro call that the limits allow.
    private static let walksPerCall = 6

    /// An interpreter before its first statement.
    init(names: [String], root: [Value?], limits: RenderLimits, now: Moment?) {
        self.names = names
        self.root = root
        self.limits = limits
        self.now = now
    }

    /// Pays for so many steps.
    mutating func charge(_ count: Int) throws(JinjaError) {
        guard count <= limits.maxSteps - steps else { throw .exceeded(line: line, .steps) }
        steps += count
    }

    /// Pays for reading a value whole, but not what is inside its items.
    mutating func charge(reading value: Value) throws(JinjaError) {
        switch value {
        case .string(let string): try charge(string.utf8.count >> 6)
        case .list(let list), .tuple(let list): try charge(list.items.count >> 2)
        case .object(let object): try charge(object.count >> 1)
        default: break
        }
    }

    /// One level further in; statements, expressions and macro calls count alike.
    mutating func enter(_ levels: Int = 1) throws(JinjaError) {
        depth += levels
        guard depth / Self.walksPerCall <= limits.maxDepth else { throw .exceeded(line: line, .depth) }
    }

    /// One level back out.
    mutating func leave(_ levels: Int = 1) {
        depth -= levels
    }

    /// An operation the values do not allow.
    func failure(_ reason: String) -> JinjaError {
        .failed(line: line, reason: reason)
    }

    /// Text that was made, if it is short enough.
    mutating func text(_ string: String) throws(JinjaError) -> Value {
        try charge(string.utf8.count >> 6)
        guard string.utf8.count <= limits.maxOutputBytes else { throw .exceeded(line: line, .output) }
        return .string(string)
    }

    /// A list that was made, if it does not nest too deeply.
    mutating func list(_ items: [Value]) throws(JinjaError) -> Value {
        .list(try checked(items))
    }

    /// A tuple that was made, if it does not nest too deeply.
    mutating func tuple(_ items: [Value]) throws(JinjaError) -> Value {
        .tuple(try checked(items))
    }

    /// A list of texts that were made.
    mutating func texts(_ strings: [String]) throws(JinjaError) -> Value {
        try charge(strings.reduce(0) { $0 + $1.utf8.count } >> 6)
        return try list(strings.map(Value.string))
    }

    /// A dict that was made, if it does not nest too deeply.
    mutating func object(_ members: [OrderedObject.Member]) throws(JinjaError) -> Value {
        try charge(members.count)
        for member in members where Key(member.key) == nil {
            throw failure("a \(member.key.typeName) cannot be a key here")
        }
        let object = OrderedObject(keyed: members)
        guard object.depth <= limits.maxDepth else { throw .exceeded(line: line, .depth) }
        return .object(object)
    }

    private mutating func checked(_ items: [Value]) throws(JinjaError) -> List {
        try charge(items.count >> 2)
        let list = List(items)
        guard list.depth <= limits.maxDepth else { throw .exceeded(line: line, .depth) }
        return list
    }

    /// Appends to the output.
    mutating func write(_ string: String) throws(JinjaError) {
        try charge(string.utf8.count >> 6)
        output += string
        guard output.utf8.count <= limits.maxOutputBytes else { throw .exceeded(line: line, .output) }
    }

    /// The value of a name.
    func variable(_ identifier: Int) -> Value {
        scope?.value(identifier) ?? root[identifier] ?? function(names[identifier])
    }

    /// Sets a name in the innermost scope.
    mutating func setVariable(_ identifier: Int, _ value: Value) {
        if let scope {
            scope.set(identifier, value)
        } else {
            root[identifier] = value
        }
    }

    private func function(_ name: String) -> Value {
        guard let function = Function(rawValue: name), function != .strftimeNow || now != nil else {
            return .undefined
        }
        return .runtime(.function(function))
    }
}
