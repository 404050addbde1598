extension Parser {
    /// A literal, a name, or something in brackets.
    mutating func parsePrimary() throws(JinjaError) -> Expression {
        let line = line
        switch kind {
        case .name(let name):
            advance()
            return try expression(
                constant(name).map(Expression.Kind.constant) ?? .name(identifier(name)), line: line)
        case .text(var text):
            advance()
            while case .text(let more) = kind {
                text += more
                advance()
            }
            return try expression(.constant(.string(text)), line: line)
        case .integer(let value):
            advance()
            return try expression(.constant(.int(value)), line: line)
        case .real(let value):
            advance()
            return try expression(.constant(.double(value)), line: line)
        case .symbol(.leftParenthesis):
            advance()
            let inner = try parseTuple(inParentheses: true)
            try expect(.symbol(.rightParenthesis))
            return inner
        case .symbol(.leftBracket):
            return try parseList()
        case .symbol(.leftBrace):
            return try parseObject()
        default:
            throw unexpected("an expression")
        }
    }

    private func constant(_ name: String) -> Value? {
        switch name {
        case "true", "True": .bool(true)
        case "false", "False": .bool(false)
        case "none", "None": Value.none
        default: nil
        }
    }

    private mutating func parseList() throws(JinjaError) -> Expression {
        let line = line
        advance()
        var items: [Expression] = []
        while kind != .symbol(.rightBracket) {
            if !items.isEmpty { try expect(.symbol(.comma)) }
            if kind == .symbol(.rightBracket) { break }
            items.append(try parseExpression())
        }
        advance()
        return try expression(.list(items), line: line, parts: items)
    }

    private mutating func parseObject() throws(JinjaError) -> Expression {
        let line = line
        advance()
        var members: [(key: Expression, value: Expression)] = []
        while kind != .symbol(.rightBrace) {
            if !members.isEmpty { try expect(.symbol(.comma)) }
            if kind == .symbol(.rightBrace) { break }
            let key = try parseExpression()
            try expect(.symbol(.colon))
            members.append((key, try parseExpression()))
        }
        advance()
        return try expression(.object(members), line: line, parts: members.flatMap { [$0.key, $0.value] })
    }

    /// Attributes, items, slices and calls after an operand.
    mutating func parsePostfix(_ operand: Expression) throws(JinjaError) -> Expression {
        var result = operand
        while case .symbol(let symbol) = kind {
            switch symbol {
            case .dot: result = try parseAttribute(of: result)
            case .leftBracket: result = try parseItem(of: result)
            case .leftParenthesis: result = try parseCall(of: result)
            default: return result
            }
        }
        return result
    }

    private mutating func parseAttribute(of operand: Expression) throws(JinjaError) -> Expression {
        let line = line
        advance()
        switch kind {
        case .name(let name):
            advance()
            return try expression(.attribute(operand, name), line: line, parts: [operand])
        case .integer(let index):
            advance()
            let key = try expression(.constant(.int(index)), line: line)
            return try expression(.item(operand, key), line: line, parts: [operand])
        default:
            throw unexpected("a name or a number")
        }
    }

    private mutating func parseItem(of operand: Expression) throws(JinjaError) -> Expression {
        let line = line
        advance()
        let from: Expression? = kind == .symbol(.colon) ? nil : try parseExpression()
        if let from, take(.rightBracket) {
            return try expression(.item(operand, from), line: line, parts: [operand, from])
        }
        if let from, kind == .symbol(.comma) {
            var parts = [from]
            while take(.comma) { parts.append(try parseExpression()) }
            try expect(.symbol(.rightBracket))
            let key = try expression(.tuple(parts), line: line, parts: parts)
            return try expression(.item(operand, key), line: line, parts: [operand, key])
        }
        try expect(.symbol(.colon))
        let to = try parseSliceBound()
        let by: Expression? = take(.colon) ? try parseSliceBound() : nil
        try expect(.symbol(.rightBracket))
        return try expression(
            .slice(operand, from: from, to: to, by: by), line: line,
            parts: [operand] + [from, to, by].compactMap { $0 })
    }

    private mutating func parseSliceBound() throws(JinjaError) -> Expression? {
        kind == .symbol(.colon) || kind == .symbol(.rightBracket) ? nil : try parseExpression()
    }

    private mutating func parseCall(of operand: Expression) throws(JinjaError) -> Expression {
        let line = line
        let arguments = try parseArguments()
        return try expression(.call(operand, arguments), line: line, parts: [operand] + arguments.parts)
    }

    private mutating func parseArguments() throws(JinjaError) -> CallArguments {
        let broken = JinjaError.syntax(line: line, reason: "arguments in an order that calls do not allow")
        try expect(.symbol(.leftParenthesis))
        var result = CallArguments()
        var isFirst = true
        while kind != .symbol(.rightParenthesis) {
            if !isFirst { try expect(.symbol(.comma)) }
            if kind == .symbol(.rightParenthesis) { break }
            isFirst = false
            guard result.unpackedNamed == nil else { throw broken }
            if take(.multiply) {
                guard result.unpacked == nil else { throw broken }
                result.unpacked = try parseExpression()
            } else if take(.power) {
                result.unpackedNamed = try parseExpression()
            } else if case .name(let name) = kind, peek(1) == .symbol(.assign) {
                advance()
                advance()
                result.named.append((name, try parseExpression()))
            } else {
                guard result.unpacked == nil, result.named.isEmpty else { throw broken }
                result.positional.append(try parseExpression())
            }
        }
        advance()
        return result
    }
}

extension Parser {
    /// Filters, tests and calls after an operand.
    mutating func parseFilters(_ operand: Expression) throws(JinjaError) -> Expression {
        var result = operand
        while true {
            let line = line
            switch kind {
            case .symbol(.pipe):
                advance()
                let call = try parseFilterCall()
                result = try expression(
                    .filter(result, call), line: line, parts: [result] + call.arguments.parts)
            case .name("is"):
                advance()
                result = try parseTest(of: result, line: line)
            case .symbol(.leftParenthesis):
                result = try parseCall(of: result)
            default:
                return result
            }
        }
    }

    /// A filter's name and arguments.
    mutating func parseFilterCall() throws(JinjaError) -> FilterCall {
        let line = line
        let name = try parseDottedName()
        let arguments = kind == .symbol(.leftParenthesis) ? try parseArguments() : CallArguments()
        return FilterCall(name: name, filter: Filter(rawValue: name), arguments: arguments, line: line)
    }

    private mutating func parseTest(of operand: Expression, line: Int) throws(JinjaError) -> Expression {
        let isNegated = take(word: "not")
        let name = try parseDottedName()
        var arguments = CallArguments()
        if kind == .symbol(.leftParenthesis) {
            arguments = try parseArguments()
        } else if startsTestArgument {
            guard kind != .name("is") else { throw unexpected("one test only") }
            arguments.positional = [try parsePostfix(parsePrimary())]
        }
        let call = TestCall(name: name, test: ValueTest(rawValue: name), arguments: arguments)
        let test = try expression(.test(operand, call), line: line, parts: [operand] + arguments.parts)
        return isNegated ? try expression(.not(test), line: line, parts: [test]) : test
    }

    private var startsTestArgument: Bool {
        switch kind {
        case .name(let name): !["else", "or", "and"].contains(name)
        case .text, .integer, .real, .symbol(.leftBracket), .symbol(.leftBrace): true
        default: false
        }
    }

    private mutating func parseDottedName() throws(JinjaError) -> String {
        var name = try expectName()
        while take(.dot) { name += "." + (try expectName()) }
        return name
    }
}
