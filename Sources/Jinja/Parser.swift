/// Makes statements of tokens: recursive descent, with a bound on how deep it goes.
struct Parser {
    /// All tokens, the last of which is `end`.
    let tokens: [Token]
    /// The next token to read.
    var position = 0
    /// Every name the template uses.
    var names: [String] = []
    /// The place of each name in `names`.
    var identifiers: [String: Int] = [:]
    /// Brackets, signs and blocks around `position`.
    var nesting = 0
    /// Loops around `position` within the macro.
    var loops = 0

    /// Most brackets, signs and blocks inside each other.
    static let maxNesting = 100
    /// Deepest expression; long sums and chains of filters count too.
    static let maxExpressionDepth = 200

    /// A parser at the first token.
    init(tokens: [Token]) {
        self.tokens = tokens
        // The place of `loop` is a constant of the interpreter.
        _ = identifier("loop")
    }

    /// The whole template.
    mutating func template() throws(JinjaError) -> [Statement] {
        let body = try statements(until: [])
        guard kind == .end else { throw unexpected() }
        return body
    }

    /// What the next token is.
    var kind: Token.Kind { token.kind }
    /// The line of the next token.
    var line: Int { token.line }

    private var token: Token {
        position < tokens.count ? tokens[position] : Token(kind: .end, line: 1)
    }

    /// What the token so far ahead is.
    func peek(_ offset: Int) -> Token.Kind {
        position + offset < tokens.count ? tokens[position + offset].kind : .end
    }

    /// Steps over one token.
    mutating func advance() {
        position += 1
    }

    /// Steps over the token if it is the next.
    mutating func take(_ wanted: Token.Kind) -> Bool {
        guard kind == wanted else { return false }
        advance()
        return true
    }

    /// Steps over the symbol if it is the next.
    mutating func take(_ symbol: Token.Symbol) -> Bool {
        take(.symbol(symbol))
    }

    /// Steps over the word if it is the next.
    mutating func take(word: String) -> Bool {
        take(.name(word))
    }

    /// Steps over the token, which has to be the next.
    mutating func expect(_ wanted: Token.Kind) throws(JinjaError) {
        guard take(wanted) else { throw unexpected(wanted.description) }
    }

    /// Steps over a name.
    mutating func expectName() throws(JinjaError) -> String {
        guard case .name(let name) = kind else { throw unexpected("a name") }
        advance()
        return name
    }

    /// The place of a name in the table.
    mutating func identifier(_ name: String) -> Int {
        if let identifier = identifiers[name] { return identifier }
        identifiers[name] = names.count
        names.append(name)
        return names.count - 1
    }

    /// One level further in.
    mutating func enter() throws(JinjaError) {
        nesting += 1
        guard nesting <= Self.maxNesting else { throw .exceeded(line: line, .depth) }
    }

    /// One level back out.
    mutating func leave() {
        nesting -= 1
    }

    /// The next token does not fit.
    func unexpected(_ wanted: String? = nil) -> JinjaError {
        .syntax(line: line, reason: "unexpected \(kind.description)" + (wanted.map { ", not \($0)" } ?? ""))
    }

    /// An expression of these parts.
    func expression(
        _ kind: Expression.Kind, line: Int, parts: [Expression] = []
    ) throws(JinjaError) -> Expression {
        let depth = parts.reduce(0) { max($0, $1.depth) } + 1
        guard depth <= Self.maxExpressionDepth else { throw .exceeded(line: line, .depth) }
        return Expression(kind: kind, line: line, depth: depth)
    }
}
