extension Parser {
    /// An expression; `x if y else z` only where it may stand.
    mutating func parseExpression(withConditional: Bool = true) throws(JinjaError) -> Expression {
        try enter()
        defer { leave() }
        var result = try parseOr()
        while withConditional, take(word: "if") {
            let line = line
            let test = try parseOr()
            let otherwise: Expression? = take(word: "else") ? try parseExpression() : nil
            result = try expression(
                .conditional(test: test, then: result, otherwise: otherwise), line: line,
                parts: [result, test] + [otherwise].compactMap { $0 })
        }
        return result
    }

    /// An expression, or several with commas between them as a tuple.
    mutating func parseTuple(
        withConditional: Bool = true, inParentheses: Bool = false, endingWith word: String? = nil
    ) throws(JinjaError) -> Expression {
        let line = line
        var parts: [Expression] = []
        var isTuple = false
        while !endsTuple(word) {
            parts.append(try parseExpression(withConditional: withConditional))
            guard take(.comma) else { break }
            isTuple = true
        }
        if !isTuple {
            if let only = parts.first { return only }
            guard inParentheses else { throw unexpected("an expression") }
        }
        return try expression(.tuple(parts), line: line, parts: parts)
    }

    private func endsTuple(_ word: String?) -> Bool {
        switch kind {
        case .variableEnd, .blockEnd, .symbol(.rightParenthesis), .end: true
        case .name(let name): name == word
        default: false
        }
    }

    private mutating func parseOr() throws(JinjaError) -> Expression {
        var left = try parseAnd()
        while case .name("or") = kind {
            let line = line
            advance()
            let right = try parseAnd()
            left = try expression(.or(left, right), line: line, parts: [left, right])
        }
        return left
    }

    private mutating func parseAnd() throws(JinjaError) -> Expression {
        var left = try parseNot()
        while case .name("and") = kind {
            let line = line
            advance()
            let right = try parseNot()
            left = try expression(.and(left, right), line: line, parts: [left, right])
        }
        return left
    }

    private mutating func parseNot() throws(JinjaError) -> Expression {
        guard case .name("not") = kind else { return try parseComparison() }
        let line = line
        advance()
        try enter()
        defer { leave() }
        let operand = try parseNot()
        return try expression(.not(operand), line: line, parts: [operand])
    }

    private mutating func parseComparison() throws(JinjaError) -> Expression {
        let line = line
        let first = try parseArithmetic(.sum)
        var rest: [(comparison: Comparison, operand: Expression)] = []
        while let comparison = takeComparison() {
            rest.append((comparison, try parseArithmetic(.sum)))
        }
        guard !rest.isEmpty else { return first }
        return try expression(.comparison(first, rest), line: line, parts: [first] + rest.map(\.operand))
    }

    private mutating func takeComparison() -> Comparison? {
        switch kind {
        case .symbol(let symbol):
            guard let comparison = Comparison(rawValue: symbol.rawValue) else { return nil }
            advance()
            return comparison
        case .name("in"):
            advance()
            return .within
        case .name("not") where peek(1) == .name("in"):
            advance()
            advance()
            return .notWithin
        default:
            return nil
        }
    }
}

extension Parser {
    /// How tightly an operator binds: `~` binds tighter than `+`, as in jinja2.
    private enum Level: Int {
        case sum
        case concatenation
        case product
        case power

        func takes(_ symbol: Token.Symbol) -> Bool {
            switch self {
            case .sum: symbol == .add || symbol == .subtract
            case .concatenation: symbol == .tilde
            case .product: [.multiply, .divide, .floorDivide, .remainder].contains(symbol)
            case .power: symbol == .power
            }
        }
    }

    private mutating func parseArithmetic(_ level: Level) throws(JinjaError) -> Expression {
        var left = try parseOperand(above: level)
        while case .symbol(let symbol) = kind, level.takes(symbol) {
            let line = line
            if level == .concatenation {
                var parts = [left]
                while take(.tilde) { parts.append(try parseOperand(above: level)) }
                left = try expression(.concatenation(parts), line: line, parts: parts)
            } else if let operation = Arithmetic(rawValue: symbol.rawValue) {
                advance()
                let right = try parseOperand(above: level)
                left = try expression(.arithmetic(operation, left, right), line: line, parts: [left, right])
            }
        }
        return left
    }

    private mutating func parseOperand(above level: Level) throws(JinjaError) -> Expression {
        guard let tighter = Level(rawValue: level.rawValue + 1) else { return try parseUnary() }
        return try parseArithmetic(tighter)
    }

    private mutating func parseUnary(withFilters: Bool = true) throws(JinjaError) -> Expression {
        try enter()
        defer { leave() }
        let line = line
        var result: Expression
        if take(.subtract) {
            let operand = try parseUnary(withFilters: false)
            result = try expression(.negative(operand), line: line, parts: [operand])
        } else if take(.add) {
            let operand = try parseUnary(withFilters: false)
            result = try expression(.positive(operand), line: line, parts: [operand])
        } else {
            result = try parsePrimary()
        }
        result = try parsePostfix(result)
        return withFilters ? try parseFilters(result) : result
    }
}
