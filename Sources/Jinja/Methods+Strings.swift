extension Interpreter {
    /// A string's method.
    mutating func call(
        _ method: Methods.StringMethod, of text: String, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let name = method.rawValue
        if method.takesNothing { _ = try bind(arguments, to: [], of: name) }
        switch method {
        case .split, .rsplit: return try split(text, arguments, fromRight: method == .rsplit)
        case .strip, .lstrip, .rstrip:
            let characters = try bind(arguments, to: ["chars"], of: name)[0]
            return try stripped(text, characters, left: method != .rstrip, right: method != .lstrip)
        case .startswith, .endswith: return try affix(text, arguments, atStart: method == .startswith)
        case .replace: return try replaced(text, arguments)
        case .title: return try self.text(PythonText.titled(text))
        case .upper: return try self.text(PythonText.upper(text))
        case .lower, .casefold: return try self.text(PythonText.lower(text))
        case .capitalize: return try self.text(PythonText.capitalized(text))
        case .swapcase: return try self.text(PythonText.swappingCase(text))
        case .splitlines:
            let keepingEnds = try bind(arguments, to: ["keepends"], of: name)[0]?.isTrue ?? false
            return try texts(PythonText.lines(text, keepingEnds: keepingEnds))
        case .find, .rfind, .index, .rindex: return try find(text, arguments, method)
        case .count:
            let bound = try bind(arguments, to: ["sub"], of: name)
            let part = try string(bound[0], or: "", of: name)
            if part.isEmpty { return .int(text.unicodeScalars.count + 1) }
            return .int(TextSearch(part).all(in: Array(text.utf8)).count)
        case .join:
            let bound = try bind(arguments, to: ["iterable"], of: name)
            return try joined(items(of: bound[0] ?? .undefined), by: text, strictly: true)
        case .format: return try braceFormat(text, arguments)
        case .zfill, .center, .ljust, .rjust: return try padded(text, arguments, method)
        case .partition, .rpartition: return try partition(text, arguments, atLast: method == .rpartition)
        case .removeprefix, .removesuffix:
            let part = try string(bind(arguments, to: ["affix"], of: name)[0], or: "", of: name)
            return try without(part, text, atStart: method == .removeprefix)
        case .isdigit, .isdecimal, .isnumeric, .isalpha, .isalnum, .isspace, .isupper, .islower, .isascii:
            return .bool(PythonText.holds(method, text))
        }
    }

    /// `str.strip` and its likes.
    mutating func stripped(
        _ text: String, _ characters: Value?, left: Bool = true, right: Bool = true
    ) throws(JinjaError) -> Value {
        switch characters {
        case nil, .some(.none):
            return try self.text(PythonText.stripped(text, left: left, right: right))
        case .some(.string(let characters)):
            let set = Set(characters.unicodeScalars)
            return try self.text(PythonText.stripped(text, left: left, right: right) { set.contains($0) })
        default:
            throw failure("'strip' needs a string")
        }
    }

    /// `str.replace` and the filter of that name.
    mutating func replaced(_ text: String, _ arguments: Arguments) throws(JinjaError) -> Value {
        let bound = try bind(arguments, to: ["old", "new", "count"], of: "replace")
        guard bound[0] != nil, bound[1] != nil else { throw failure("'replace' needs two strings") }
        let old = try string(bound[0], or: "", of: "replace")
        let new = try string(bound[1], or: "", of: "replace")
        let wanted = try integer(bound[2], or: -1, of: "replace")
        let limit = wanted < 0 ? Int.max : wanted
        if old.isEmpty {
            let scalars = text.unicodeScalars
            let count = min(scalars.count + 1, limit)
            try chargeGrowth(text, count, new)
            var result = ""
            for (index, scalar) in scalars.enumerated() {
                if index < count { result += new }
                result.unicodeScalars.append(scalar)
            }
            return try self.text(count > scalars.count ? result + new : result)
        }
        let bytes = Array(text.utf8)
        let places = TextSearch(old).all(in: bytes, atMost: limit)
        guard !places.isEmpty else { return .string(text) }
        try chargeGrowth(text, places.count, new)
        var result: [UInt8] = []
        var start = 0
        for place in places {
            result += bytes[start..<place]
            result += new.utf8
            start = place + old.utf8.count
        }
        result += bytes[start...]
        return try self.text(String(decoding: result, as: UTF8.self))
    }

    // Refuses what would be too long before it is made.
    private mutating func chargeGrowth(_ text: String, _ count: Int, _ new: String) throws(JinjaError) {
        let (growth, overflow) = count.multipliedReportingOverflow(by: new.utf8.count)
        guard !overflow, growth <= limits.maxOutputBytes else { throw .exceeded(line: line, .output) }
        try charge((growth + text.utf8.count) >> 6)
    }

    private func affix(_ text: String, _ arguments: Arguments, atStart: Bool) throws(JinjaError) -> Value {
        let name = atStart ? "startswith" : "endswith"
        let wanted = try bind(arguments, to: ["affix"], of: name)[0] ?? .undefined
        let candidates: [Value] = if case .tuple(let tuple) = wanted { tuple.items } else { [wanted] }
        for candidate in candidates {
            guard case .string(let part) = candidate else { throw failure("'\(name)' needs a string") }
            if PythonText.has(part, text, atStart: atStart) { return .bool(true) }
        }
        return .bool(false)
    }

    private mutating func without(_ part: String, _ text: String, atStart: Bool) throws(JinjaError) -> Value {
        guard PythonText.has(part, text, atStart: atStart) else { return .string(text) }
        let count = part.utf8.count
        return try self.text(
            atStart
                ? String(decoding: text.utf8.dropFirst(count), as: UTF8.self)
                : String(decoding: text.utf8.dropLast(count), as: UTF8.self))
    }

    private func find(
        _ text: String, _ arguments: Arguments, _ method: Methods.StringMethod
    ) throws(JinjaError) -> Value {
        let part = try string(
            bind(arguments, to: ["sub"], of: method.rawValue)[0], or: "", of: method.rawValue)
        let bytes = Array(text.utf8)
        let search = TextSearch(part)
        let isFirst = method == .find || method == .index
        guard let place = isFirst ? search.first(in: bytes) : search.last(in: bytes) else {
            if method == .find || method == .rfind { return .int(-1) }
            throw failure("'\(method.rawValue)' does not find the string")
        }
        // Indices count scalars: bytes that start one.
        return .int(bytes[..<place].reduce(0) { $0 + ($1 & 0xc0 == 0x80 ? 0 : 1) })
    }

    private mutating func partition(
        _ text: String, _ arguments: Arguments, atLast: Bool
    ) throws(JinjaError) -> Value {
        let separator = try string(bind(arguments, to: ["sep"], of: "partition")[0], or: "", of: "partition")
        guard !separator.isEmpty else { throw failure("an empty separator") }
        let bytes = Array(text.utf8)
        let search = TextSearch(separator)
        guard let place = atLast ? search.last(in: bytes) : search.first(in: bytes) else {
            return try tuple((atLast ? ["", "", text] : [text, "", ""]).map(Value.string))
        }
        let before = String(decoding: bytes[..<place], as: UTF8.self)
        let after = String(decoding: bytes[(place + search.byteCount)...], as: UTF8.self)
        return try tuple([before, separator, after].map(Value.string))
    }

    private mutating func padded(
        _ text: String, _ arguments: Arguments, _ method: Methods.StringMethod
    ) throws(JinjaError) -> Value {
        let bound = try bind(arguments, to: ["width", "fillchar"], of: method.rawValue)
        let width = try integer(bound[0], or: 0, of: method.rawValue)
        let fill = try string(bound[1], or: method == .zfill ? "0" : " ", of: method.rawValue)
        guard fill.unicodeScalars.count == 1 else {
            throw failure("'\(method.rawValue)' fills with one character")
        }
        let missing = max(0, max(width, 0) - text.unicodeScalars.count)
        guard missing <= limits.maxOutputBytes else { throw .exceeded(line: line, .output) }
        try charge(missing >> 6)
        let left: Int
        switch method {
        case .center: left = missing / 2 + (missing & width & 1)
        case .ljust: left = 0
        default: left = missing
        }
        let before = String(repeating: fill, count: left)
        if method == .zfill, let sign = text.utf8.first,
            sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+")
        {
            let digits = String(decoding: text.utf8.dropFirst(), as: UTF8.self)
            return try self.text(String(decoding: [sign], as: UTF8.self) + before + digits)
        }
        return try self.text(before + text + String(repeating: fill, count: missing - left))
    }
}
