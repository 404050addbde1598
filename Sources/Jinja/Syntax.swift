/// An expression, where it stands and how deep it is.
struct Expression: Sendable {
    /// What to compute.
    let kind: Kind
    /// Counted from 1.
    let line: Int
    /// One more than its deepest part; the parser bounds it, so that no walk of the tree exhausts the stack.
    let depth: Int

    /// What an expression can be; names are numbers into the template's table of names.
    indirect enum Kind: Sendable {
        case constant(Value)
        case name(Int)
        case list([Expression])
        case tuple([Expression])
        case object([(key: Expression, value: Expression)])
        case attribute(Expression, String)
        case item(Expression, Expression)
        case slice(Expression, from: Expression?, to: Expression?, by: Expression?)
        case call(Expression, CallArguments)
        case filter(Expression, FilterCall)
        case test(Expression, TestCall)
        case not(Expression)
        case negative(Expression)
        case positive(Expression)
        case and(Expression, Expression)
        case or(Expression, Expression)
        case arithmetic(Arithmetic, Expression, Expression)
        case concatenation([Expression])
        case comparison(Expression, [(comparison: Comparison, operand: Expression)])
        case conditional(test: Expression, then: Expression, otherwise: Expression?)
    }
}

/// Operators on two numbers, and on the text and lists that allow them.
enum Arithmetic: String, Sendable {
    case add = "+"
    case subtract = "-"
    case multiply = "*"
    case divide = "/"
    case floorDivide = "//"
    case remainder = "%"
    case power = "**"
}

/// Operators that say yes or no.
enum Comparison: String, Sendable {
    case equal = "=="
    case unequal = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
    case within = "in"
    case notWithin = "not in"
}

/// What stands between the parentheses of a call.
struct CallArguments: Sendable {
    /// Arguments without names.
    var positional: [Expression] = []
    /// Arguments with names.
    var named: [(name: String, value: Expression)] = []
    /// What follows `*`.
    var unpacked: Expression?
    /// What follows `**`.
    var unpackedNamed: Expression?

    /// All expressions.
    var parts: [Expression] {
        positional + named.map(\.value) + [unpacked, unpackedNamed].compactMap { $0 }
    }
}

/// A filter and its arguments; one that does not exist fails only where it is reached.
struct FilterCall: Sendable {
    /// What the template calls it.
    let name: String
    /// Nothing if there is no such filter.
    let filter: Filter?
    /// What stands between its parentheses.
    let arguments: CallArguments
    /// Counted from 1.
    let line: Int
}

/// A test and its arguments; one that does not exist fails only where it is reached.
struct TestCall: Sendable {
    /// What the template calls it.
    let name: String
    /// Nothing if there is no such test.
    let test: ValueTest?
    /// What stands between its parentheses, or the one operand after it.
    let arguments: CallArguments
}

/// What a value can be stored in.
indirect enum Target: Sendable {
    case name(Int)
    case attribute(Int, String)
    case tuple([Target])
}

/// A part of a template that writes or changes something.
enum Statement: Sendable {
    case text(String)
    case print(Expression)
    case conditional([(test: Expression, body: [Statement])], otherwise: [Statement])
    case loop(Loop)
    case assign(Target, Expression)
    case capture(Target, [FilterCall], [Statement])
    case macro(Macro)
    case call(Macro, Expression)
    case scoped([Statement])
    case with([(target: Target, value: Expression)], [Statement])
    case filtered([FilterCall], [Statement])
    case leaveLoop
    case nextPass
}

/// A `for` statement.
struct Loop: Sendable {
    /// What each item is stored in.
    let target: Target
    /// What is gone through.
    let items: Expression
    /// Which items there is a pass for.
    let condition: Expression?
    /// What a pass does.
    let body: [Statement]
    /// What is done instead if there is no pass.
    let otherwise: [Statement]
    /// Counted from 1.
    let line: Int
}

/// A `macro` statement, or the body of a `call` block.
struct Macro: Sendable {
    /// The macro's name, or `caller`.
    let name: String
    /// The macro's own name as a variable.
    let identifier: Int
    /// The parameters and their defaults.
    let parameters: [(name: String, identifier: Int, fallback: Expression?)]
    /// What a call does.
    let body: [Statement]
    /// Whether it may be called by a `call` block.
    let usesCaller: Bool
    /// Whether it takes arguments of other names, as `kwargs`.
    let usesKeywords: Bool
    /// Whether it takes more arguments than parameters, as `varargs`.
    let usesRest: Bool
}
