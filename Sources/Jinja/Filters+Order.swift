extension Interpreter {
    /// Filters that compare items with each other.
    mutating func applyByOrder(
        _ filter: Filter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let name = filter.rawValue
        switch filter {
        case .sort:
            let bound = try bind(arguments, to: ["reverse", "case_sensitive", "attribute"], of: name)
            let keyed = try keyed(value, by: bound[2], isCaseSensitive: bound[1], splitsAtCommas: true)
            return try list(sorted(keyed, isReversed: bound[0]?.isTrue ?? false).map(\.value))
        case .unique:
            let bound = try bind(arguments, to: ["case_sensitive", "attribute"], of: name)
            return try unique(keyed(value, by: bound[1], isCaseSensitive: bound[0]))
        case .groupby: return try grouped(value, arguments)
        default:
            let bound = try bind(arguments, to: ["case_sensitive", "attribute"], of: name)
            var best: (key: Value, value: Value)?
            for candidate in try keyed(value, by: bound[1], isCaseSensitive: bound[0]) {
                guard let current = best else {
                    best = candidate
                    continue
                }
                let isBetter =
                    filter == .min
                    ? try precedes(candidate.key, current.key) : try precedes(current.key, candidate.key)
                if isBetter { best = candidate }
            }
            return best?.value ?? .undefined
        }
    }

    /// A key without its case, unless case counts.
    mutating func folded(_ key: Value, _ isCaseSensitive: Bool) throws(JinjaError) -> Value {
        guard !isCaseSensitive, case .string(let string) = key else { return key }
        return try text(PythonText.lower(string))
    }

    private mutating func keyed(
        _ value: Value, by path: Value?, isCaseSensitive: Value?, splitsAtCommas: Bool = false,
        or fallback: Value? = nil
    ) throws(JinjaError) -> [(key: Value, value: Value)] {
        let isCaseSensitive = isCaseSensitive?.isTrue ?? false
        var result: [(key: Value, value: Value)] = []
        for item in try items(of: value) {
            try charge(1)
            var key = item
            switch path {
            case nil, .some(.none): key = try folded(item, isCaseSensitive)
            case .some(.string(let paths)) where splitsAtCommas && paths.utf8.contains(UInt8(ascii: ",")):
                var keys: [Value] = []
                for path in paths.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
                    let found = try follow(.string(String(decoding: path, as: UTF8.self)), from: item)
                    keys.append(try folded(found, isCaseSensitive))
                }
                key = try list(keys)
            case .some(let path):
                key = try folded(follow(path, from: item, or: fallback), isCaseSensitive)
            }
            result.append((key, item))
        }
        return result
    }

    private mutating func unique(_ keyed: [(key: Value, value: Value)]) throws(JinjaError) -> Value {
        var result: [Value] = []
        var keys: Set<Key> = []
        var others: [Value] = []
        search: for (key, value) in keyed {
            if let key = Key(key) {
                if keys.insert(key).inserted { result.append(value) }
                continue
            }
            for other in others where try equal(key, other) { continue search }
            others.append(key)
            result.append(value)
        }
        return try list(result)
    }

    private mutating func grouped(_ value: Value, _ arguments: Arguments) throws(JinjaError) -> Value {
        let bound = try bind(arguments, to: ["attribute", "default", "case_sensitive"], of: "groupby")
        guard let path = bound[0] else { throw failure("'groupby' needs an attribute") }
        let keyed = try keyed(value, by: path, isCaseSensitive: bound[2], or: bound[1])
        var groups: [(key: Value, items: [Value])] = []
        for (key, value) in try sorted(keyed, isReversed: false) {
            if let last = groups.last, try equal(last.key, key) {
                groups[groups.count - 1].items.append(value)
            } else {
                groups.append((key, [value]))
            }
        }
        var result: [Value] = []
        for group in groups {
            // The group shows its first item's own key, in its own case.
            let key = try group.items.first.map { item throws(JinjaError) in
                try follow(path, from: item, or: bound[1])
            }
            result.append(try tuple([key ?? group.key, try list(group.items)]))
        }
        return try list(result)
    }
}
