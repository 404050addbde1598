extension Interpreter {
    /// Filters that see their value as text.
    mutating func applyToText(
        _ filter: Filter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let string = try string(value)
        switch filter {
        case .capitalize: return try text(PythonText.capitalized(string))
        case .lower: return try text(PythonText.lower(string))
        case .upper: return try text(PythonText.upper(string))
        case .title: return try text(PythonText.wordsTitled(string))
        case .trim: return try stripped(string, bind(arguments, to: ["chars"], of: "trim")[0])
        case .replace: return try replaced(string, arguments)
        case .center:
            let bound = try bind(arguments, to: ["width"], of: "center")
            return try call(.center, of: string, Arguments(positional: [bound[0] ?? .int(80)]))
        case .format: return try percentFormat(string, arguments.positional, named: arguments.named)
        case .indent: return try indented(string, arguments)
        case .truncate: return try truncated(string, arguments)
        case .wordcount: return .int(PythonText.words(string, limit: .max).count)
        default: return try escaped(string)
        }
    }

    private mutating func escaped(_ string: String) throws(JinjaError) -> Value {
        var result = ""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "'": result += "&#39;"
            case "\"": result += "&#34;"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return try text(result)
    }

    private mutating func indented(_ string: String, _ arguments: Arguments) throws(JinjaError) -> Value {
        let bound = try bind(arguments, to: ["width", "first", "blank"], of: "indent")
        let indention: String
        if case .string(let text)? = bound[0] {
            indention = text
        } else {
            let width = try integer(bound[0], or: 4, of: "indent")
            indention = String(repeating: " ", count: min(Swift.max(width, 0), FormatLayout.maxWidth))
        }
        let indentsBlank = bound[2]?.isTrue ?? false
        // A line end at the end starts one more line.
        let lines = PythonText.lines(string + "\n")
        let (growth, overflow) = lines.count.multipliedReportingOverflow(by: indention.utf8.count)
        guard !overflow, growth <= limits.maxOutputBytes else { throw .exceeded(line: line, .output) }
        try charge(lines.count)
        var result = bound[1]?.isTrue ?? false ? indention : ""
        for (index, line) in lines.enumerated() {
            if index > 0 { result += "\n" }
            if index > 0, indentsBlank || !line.isEmpty { result += indention }
            result += line
        }
        return try text(result)
    }

    private mutating func truncated(_ string: String, _ arguments: Arguments) throws(JinjaError) -> Value {
        let bound = try bind(arguments, to: ["length", "killwords", "end", "leeway"], of: "truncate")
        let length = try integer(bound[0], or: 255, of: "truncate")
        let end = try self.string(bound[2], or: "...", of: "truncate")
        let leeway = try integer(bound[3], or: 5, of: "truncate")
        let kept = length.subtractingReportingOverflow(end.unicodeScalars.count)
        guard kept.partialValue >= 0, !kept.overflow, leeway >= 0 else {
            throw failure("'truncate' needs a length")
        }
        let excess = string.unicodeScalars.count - leeway
        guard excess > length else { return .string(string) }
        let head = String(string.unicodeScalars.prefix(kept.partialValue))
        if bound[1]?.isTrue ?? false { return try text(head + end) }
        guard let space = head.unicodeScalars.lastIndex(of: " ") else { return try text(head + end) }
        return try text(String(head.unicodeScalars[..<space]) + end)
    }
}
