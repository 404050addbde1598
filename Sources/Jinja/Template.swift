/// A chat template, parsed once and rendered for every request.
///
/// The language is the one of jinja2 3.1 with `trim_blocks`, `lstrip_blocks`, loop controls and `generation`
/// blocks, in an immutable sandbox: templates cannot change the values they are given. Text is counted, cut
/// and compared by Unicode scalar, as Python does.
package struct Template: Sendable {
    private let body: [Statement]
    private let names: [String]
    private let identifiers: [String: Int]

    /// Parses the source.
    package init(_ source: String) throws(JinjaError) {
        var lexer = try Lexer(source)
        var parser = Parser(tokens: try lexer.tokens())
        body = try parser.template()
        names = parser.names
        identifiers = parser.identifiers
    }

    /// The text for these variables; `strftime_now` exists if a moment is given.
    package func render(
        _ variables: [(String, Value)], limits: RenderLimits = RenderLimits(), now: Moment? = nil
    ) throws(JinjaError) -> String {
        var root = [Value?](repeating: nil, count: names.count)
        for (name, value) in variables {
            guard value.depth <= limits.maxDepth else { throw .exceeded(line: 1, .depth) }
            if let identifier = identifiers[name] { root[identifier] = value }
        }
        var interpreter = Interpreter(names: names, root: root, limits: limits, now: now)
        _ = try interpreter.execute(body)
        return interpreter.output
    }

    /// Whether the template mentions a variable of that name.
    package func mentions(_ name: String) -> Bool {
        identifiers[name] != nil
    }
}
