extension Interpreter {
    /// `left comparison right`.
    mutating func holds(_ comparison: Comparison, _ left: Value, _ right: Value) throws(JinjaError) -> Bool {
        switch comparison {
        case .equal: try equal(left, right)
        case .unequal: try !equal(left, right)
        case .less: try precedes(left, right, comparison)
        case .lessOrEqual: try precedes(left, right, comparison)
        case .greater: try precedes(right, left, comparison)
        case .greaterOrEqual: try precedes(right, left, comparison)
        case .within: try contains(right, left)
        case .notWithin: try !contains(right, left)
        }
    }

    /// Whether two values are the same to Python: 1 equals 1.0 and True, and dicts equal in any order.
    mutating func equal(_ left: Value, _ right: Value) throws(JinjaError) -> Bool {
        try charge(1)
        if let left = left.integer, let right = right.integer { return left == right }
        if let left = left.number, let right = right.number { return left == right }
        switch (left, right) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.string(let one), .string(let other)):
            try charge(min(one.utf8.count, other.utf8.count) >> 6)
            return Text(one) == Text(other)
        case (.list(let one), .list(let other)), (.tuple(let one), .tuple(let other)):
            guard one.items.count == other.items.count else { return false }
            for (one, other) in zip(one.items, other.items) {
                guard try equal(one, other) else { return false }
            }
            return true
        case (.object(let one), .object(let other)):
            guard one.count == other.count else { return false }
            for member in one.members {
                guard let value = other[key: member.key], try equal(member.value, value) else { return false }
            }
            return true
        case (.runtime(.namespace(let one)), .runtime(.namespace(let other))): return one == other
        case (.runtime(.macro(let one)), .runtime(.macro(let other))): return one == other
        default: return false
        }
    }

    /// Whether one value comes before another, or with it if the comparison says so.
    mutating func precedes(
        _ left: Value, _ right: Value, _ comparison: Comparison = .less
    ) throws(JinjaError) -> Bool {
        try charge(1)
        let orEqual = comparison == .lessOrEqual || comparison == .greaterOrEqual
        if let left = left.integer, let right = right.integer {
            return orEqual ? left <= right : left < right
        }
        if let left = left.number, let right = right.number { return orEqual ? left <= right : left < right }
        switch (left, right) {
        case (.string(let left), .string(let right)):
            try charge(min(left.utf8.count, right.utf8.count) >> 6)
            // UTF-8 keeps the order of scalars.
            return orEqual
                ? !right.utf8.lexicographicallyPrecedes(left.utf8)
                : left.utf8.lexicographicallyPrecedes(right.utf8)
        case (.list(let left), .list(let right)), (.tuple(let left), .tuple(let right)):
            for (left, right) in zip(left.items, right.items) {
                guard try equal(left, right) else { return try precedes(left, right, comparison) }
            }
            return orEqual ? left.items.count <= right.items.count : left.items.count < right.items.count
        default:
            throw failure("'\(comparison.rawValue)' does not work on \(left.typeName) and \(right.typeName)")
        }
    }

    /// Whether `item in container`.
    mutating func contains(_ container: Value, _ item: Value) throws(JinjaError) -> Bool {
        switch (container, item) {
        case (.string(let text), .string(let part)):
            try charge((text.utf8.count + part.utf8.count) >> 6)
            return TextSearch(part).first(in: Array(text.utf8)) != nil
        case (.object(let object), _): return object[key: item] != nil
        case (.list(let list), _), (.tuple(let list), _):
            for candidate in list.items {
                if try equal(candidate, item) { return true }
            }
            return false
        case (.undefined, _): return false
        default: throw failure("'in' does not work on \(item.typeName) and \(container.typeName)")
        }
    }

    /// What a loop goes through: items, scalars of a string, keys of a dict.
    mutating func items(of value: Value) throws(JinjaError) -> [Value] {
        try charge(reading: value)
        switch value {
        case .undefined: return []
        case .list(let list), .tuple(let list): return list.items
        case .object(let object): return object.members.map(\.key)
        case .string(let string):
            try charge(string.utf8.count >> 2)
            return string.unicodeScalars.map { .string(String($0)) }
        default: throw failure("a \(value.typeName) cannot be gone through")
        }
    }

    /// The items in order, keeping the order of equals: a merge sort by keys.
    mutating func sorted(
        _ items: [(key: Value, value: Value)], isReversed: Bool
    ) throws(JinjaError) -> [(key: Value, value: Value)] {
        guard items.count > 1 else { return items }
        let middle = items.count / 2
        let left = try sorted(Array(items[..<middle]), isReversed: isReversed)
        let right = try sorted(Array(items[middle...]), isReversed: isReversed)
        var result: [(key: Value, value: Value)] = []
        result.reserveCapacity(items.count)
        var (i, j) = (0, 0)
        while i < left.count, j < right.count {
            let takesRight =
                isReversed
                ? try precedes(left[i].key, right[j].key) : try precedes(right[j].key, left[i].key)
            if takesRight {
                result.append(right[j])
                j += 1
            } else {
                result.append(left[i])
                i += 1
            }
        }
        return result + left[i...] + right[j...]
    }
}
