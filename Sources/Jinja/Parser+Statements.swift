extension Parser {
    /// Statements up to a block tag that starts with one of these words; the word is the next token then.
    mutating func statements(until ends: [String]) throws(JinjaError) -> [Statement] {
        try enter()
        defer { leave() }
        var result: [Statement] = []
        while true {
            switch kind {
            case .data(let text):
                advance()
                result.append(.text(text))
            case .variableBegin:
                advance()
                result.append(.print(try parseTuple()))
                try expect(.variableEnd)
            case .blockBegin:
                advance()
                if case .name(let word) = kind, ends.contains(word) { return result }
                result.append(try statement())
                try expect(.blockEnd)
            default:
                guard ends.isEmpty else { throw unexpected("'\(ends.joined(separator: "' or '"))'") }
                return result
            }
        }
    }

    private mutating func statement() throws(JinjaError) -> Statement {
        let line = line
        let word = try expectName()
        switch word {
        case "for": return .loop(try loop(line))
        case "if": return try conditional()
        case "set": return try assignment()
        case "macro": return .macro(try macro())
        case "call": return try callBlock(line)
        case "generation": return .scoped(try block(until: "endgeneration"))
        case "filter": return try filterBlock()
        case "with": return try with()
        case "break", "continue":
            guard loops > 0 else { throw .syntax(line: line, reason: "'\(word)' outside a loop") }
            return word == "break" ? .leaveLoop : .nextPass
        default:
            throw .syntax(line: line, reason: "the tag '\(word)' does not exist here")
        }
    }

    // The rest of a tag's body, and its end's word.
    private mutating func block(until end: String) throws(JinjaError) -> [Statement] {
        try expect(.blockEnd)
        let body = try statements(until: [end])
        advance()
        return body
    }

    private mutating func loop(_ line: Int) throws(JinjaError) -> Loop {
        let target = try target(allowsAttributes: false, until: "in")
        try expect(.name("in"))
        let items = try parseTuple(withConditional: false, endingWith: "recursive")
        let condition: Expression? = take(word: "if") ? try parseExpression() : nil
        guard kind != .name("recursive") else {
            throw .syntax(line: line, reason: "recursive loops do not exist here")
        }
        try expect(.blockEnd)
        loops += 1
        let body = try statements(until: ["endfor", "else"])
        loops -= 1
        var otherwise: [Statement] = []
        if take(word: "else") { otherwise = try block(until: "endfor") } else { advance() }
        return Loop(
            target: target, items: items, condition: condition, body: body, otherwise: otherwise, line: line)
    }

    private mutating func conditional() throws(JinjaError) -> Statement {
        var branches: [(test: Expression, body: [Statement])] = []
        while true {
            let test = try parseTuple(withConditional: false)
            try expect(.blockEnd)
            branches.append((test, try statements(until: ["elif", "else", "endif"])))
            if take(word: "elif") { continue }
            if take(word: "else") { return .conditional(branches, otherwise: try block(until: "endif")) }
            advance()
            return .conditional(branches, otherwise: [])
        }
    }

    private mutating func assignment() throws(JinjaError) -> Statement {
        let target = try target(allowsAttributes: true)
        if take(.assign) { return .assign(target, try parseTuple()) }
        var filters: [FilterCall] = []
        while take(.pipe) { filters.append(try parseFilterCall()) }
        return .capture(target, filters, try block(until: "endset"))
    }

    private mutating func filterBlock() throws(JinjaError) -> Statement {
        var filters = [try parseFilterCall()]
        while take(.pipe) { filters.append(try parseFilterCall()) }
        return .filtered(filters, try block(until: "endfilter"))
    }

    private mutating func with() throws(JinjaError) -> Statement {
        var bindings: [(target: Target, value: Expression)] = []
        while kind != .blockEnd {
            if !bindings.isEmpty { try expect(.symbol(.comma)) }
            let target = try target(allowsAttributes: false)
            try expect(.symbol(.assign))
            bindings.append((target, try parseExpression()))
        }
        return .with(bindings, try block(until: "endwith"))
    }

    private mutating func target(
        allowsAttributes: Bool, until end: String? = nil
    ) throws(JinjaError) -> Target {
        var parts: [Target] = []
        var isTuple = false
        while parts.isEmpty || !endsTarget(end) {
            parts.append(try targetPart(allowsAttributes: allowsAttributes))
            guard take(.comma) else { break }
            isTuple = true
        }
        if !isTuple, let only = parts.first { return only }
        return .tuple(parts)
    }

    private func endsTarget(_ end: String?) -> Bool {
        switch kind {
        case .blockEnd, .symbol(.rightParenthesis), .symbol(.assign): true
        case .name(let name): name == end
        default: false
        }
    }

    private mutating func targetPart(allowsAttributes: Bool) throws(JinjaError) -> Target {
        if take(.leftParenthesis) {
            try enter()
            defer { leave() }
            let inner = try target(allowsAttributes: allowsAttributes)
            try expect(.symbol(.rightParenthesis))
            return inner
        }
        let name = try expectName()
        guard !["true", "false", "none", "True", "False", "None"].contains(name) else {
            throw .syntax(line: line, reason: "'\(name)' cannot be set")
        }
        if allowsAttributes, take(.dot) { return .attribute(identifier(name), try expectName()) }
        return .name(identifier(name))
    }
}

extension Parser {
    private mutating func macro() throws(JinjaError) -> Macro {
        let name = try expectName()
        return try macro(name, parameters: try parameters(), until: "endmacro")
    }

    private mutating func callBlock(_ line: Int) throws(JinjaError) -> Statement {
        let parameters = kind == .symbol(.leftParenthesis) ? try parameters() : []
        let call = try parseExpression()
        guard case .call = call.kind else { throw .syntax(line: line, reason: "a call block without a call") }
        return .call(try macro("caller", parameters: parameters, until: "endcall"), call)
    }

    private mutating func macro(
        _ name: String, parameters: [(name: String, identifier: Int, fallback: Expression?)],
        until end: String
    ) throws(JinjaError) -> Macro {
        let outerLoops = loops
        loops = 0
        defer { loops = outerLoops }
        let start = position
        let body = try block(until: end)
        let words = tokens[start..<min(position, tokens.count)].map(\.kind)
        return Macro(
            name: name, identifier: identifier(name), parameters: parameters, body: body,
            usesCaller: words.contains(.name("caller")), usesKeywords: words.contains(.name("kwargs")),
            usesRest: words.contains(.name("varargs")))
    }

    private mutating func parameters() throws(JinjaError)
        -> [(name: String, identifier: Int, fallback: Expression?)]
    {
        try expect(.symbol(.leftParenthesis))
        var result: [(name: String, identifier: Int, fallback: Expression?)] = []
        while kind != .symbol(.rightParenthesis) {
            if !result.isEmpty { try expect(.symbol(.comma)) }
            let line = line
            let name = try expectName()
            let fallback: Expression? = take(.assign) ? try parseExpression() : nil
            if fallback == nil, let last = result.last, last.fallback != nil {
                throw .syntax(line: line, reason: "a parameter without a default after one with a default")
            }
            result.append((name, identifier(name), fallback))
        }
        advance()
        return result
    }
}
