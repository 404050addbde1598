/// The filters there are.
enum Filter: String, Sendable {
    case abs, attr, batch, capitalize, center, count, d, dictsort, e, escape, first, float, forceescape,
        format
    case groupby, indent, int, items, join, last, length, list, lower, map, max, min, reject, rejectattr,
        replace
    case reverse, round, safe, select, selectattr, slice, sort, string, sum, title, tojson, trim, truncate,
        unique
    case upper, wordcount
    case `default`

    /// Whether it has no parameters.
    var takesNothing: Bool {
        switch self {
        case .abs, .capitalize, .count, .e, .escape, .first, .forceescape, .items, .last, .length, .list,
            .lower,
            .reverse, .safe, .string, .title, .upper, .wordcount:
            true
        default: false
        }
    }
}

extension Interpreter {
    /// `value|filter`.
    mutating func apply(_ call: FilterCall, to value: Value) throws(JinjaError) -> Value {
        let arguments = try evaluate(call.arguments)
        line = call.line
        guard let filter = call.filter else { throw failure("the filter '\(call.name)' does not exist here") }
        return try apply(filter, to: value, arguments)
    }

    /// A filter on a value.
    mutating func apply(
        _ filter: Filter, to value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        try charge(1)
        try charge(reading: value)
        if filter.takesNothing { _ = try bind(arguments, to: [], of: filter.rawValue) }
        switch filter {
        case .default, .d: return try fallback(value, arguments)
        case .string, .safe: return try text(string(value))
        case .tojson: return try json(value, arguments)
        case .length, .count: return .int(try length(value))
        case .attr:
            guard case .string(let name)? = try bind(arguments, to: ["name"], of: "attr")[0] else {
                return .undefined
            }
            if case .object = value, !Methods.has(name, value) { return .undefined }
            return attribute(name, of: value)
        case .capitalize, .center, .e, .escape, .forceescape, .format, .indent, .lower, .replace, .title,
            .trim,
            .truncate, .upper, .wordcount:
            return try applyToText(filter, value, arguments)
        case .abs, .float, .int, .round, .sum:
            return try applyToNumber(filter, value, arguments)
        case .dictsort, .first, .items, .join, .last, .list, .reverse, .batch, .slice:
            return try applyToItems(filter, value, arguments)
        case .map, .select, .reject, .selectattr, .rejectattr:
            return try applyToEach(filter, value, arguments)
        case .groupby, .max, .min, .sort, .unique:
            return try applyByOrder(filter, value, arguments)
        }
    }

    private func fallback(_ value: Value, _ arguments: Arguments) throws(JinjaError) -> Value {
        let bound = try bind(arguments, to: ["default_value", "boolean"], of: "default")
        let isMissing = value.isUndefined || ((bound[1]?.isTrue ?? false) && !value.isTrue)
        return isMissing ? bound[0] ?? .string("") : value
    }

    private func length(_ value: Value) throws(JinjaError) -> Int {
        switch value {
        case .undefined: return 0
        case .string(let string): return string.unicodeScalars.count
        case .list(let list), .tuple(let list): return list.items.count
        case .object(let object): return object.count
        default: throw failure("a \(value.typeName) has no length")
        }
    }
}

extension Interpreter {
    /// Filters that go through items.
    mutating func applyToItems(
        _ filter: Filter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        switch filter {
        case .first: return try items(of: value).first ?? .undefined
        case .last: return try items(of: value).last ?? .undefined
        case .list: return try list(items(of: value))
        case .items:
            if value.isUndefined { return .array([]) }
            guard case .object(let object) = value else { throw failure("'items' needs a dict") }
            return try pairs(of: object)
        case .join:
            let bound = try bind(arguments, to: ["d", "attribute"], of: "join")
            var items = try items(of: value)
            if let path = bound[1] {
                for index in items.indices { items[index] = try follow(path, from: items[index]) }
            }
            return try joined(items, by: string(bound[0] ?? .string("")), strictly: false)
        case .reverse:
            if case .string(let string) = value {
                return try text(Slices.slice(string, from: nil, to: nil, by: -1))
            }
            return try list(items(of: value).reversed())
        case .dictsort: return try dictsort(value, arguments)
        default: return try batch(filter, value, arguments)
        }
    }

    /// Texts with another between them; strictly, all have to be strings.
    mutating func joined(_ items: [Value], by separator: String, strictly: Bool) throws(JinjaError) -> Value {
        var result = ""
        for (index, item) in items.enumerated() {
            try charge(1 + separator.utf8.count >> 6)
            if index > 0 { result += separator }
            if case .string(let text) = item {
                try charge(text.utf8.count >> 6)
                result += text
            } else {
                guard !strictly else { throw failure("'join' needs strings") }
                result += try string(item)
            }
            guard result.utf8.count <= limits.maxOutputBytes else { throw .exceeded(line: line, .output) }
        }
        return try text(result)
    }

    private mutating func dictsort(_ value: Value, _ arguments: Arguments) throws(JinjaError) -> Value {
        let bound = try bind(arguments, to: ["case_sensitive", "by", "reverse"], of: "dictsort")
        guard case .object(let object) = value else { throw failure("'dictsort' needs a dict") }
        let by = try string(bound[1], or: "key", of: "dictsort")
        guard by == "key" || by == "value" else { throw failure("'dictsort' is by key or by value") }
        var keyed: [(key: Value, value: Value)] = []
        for member in object.members {
            let key = by == "key" ? member.key : member.value
            keyed.append(
                (try folded(key, bound[0]?.isTrue ?? false), try tuple([member.key, member.value])))
        }
        return try list(sorted(keyed, isReversed: bound[2]?.isTrue ?? false).map(\.value))
    }

    private mutating func batch(_ filter: Filter, _ value: Value, _ arguments: Arguments) throws(JinjaError)
        -> Value
    {
        let bound = try bind(arguments, to: ["count", "fill_with"], of: filter.rawValue)
        let count = try integer(bound[0], or: 0, of: filter.rawValue)
        guard (1...100_000).contains(count) else { throw failure("'\(filter.rawValue)' needs a count") }
        let items = try items(of: value)
        var fill: Value?
        if let value = bound[1], case .none = value { fill = nil } else { fill = bound[1] }
        var groups: [Value] = []
        var start = 0
        try charge(count)
        for index in 0..<(filter == .batch ? (items.count + count - 1) / count : count) {
            let isLong = filter == .batch || index < items.count % count
            let size = filter == .batch ? count : items.count / count + (isLong ? 1 : 0)
            let end = min(start + size, items.count)
            var group = Array(items[start..<end])
            if let fill {
                if filter == .batch {
                    group += [Value](repeating: fill, count: count - group.count)
                } else if !isLong {
                    group.append(fill)
                }
            }
            groups.append(try list(group))
            start = end
        }
        return try list(groups)
    }
}
