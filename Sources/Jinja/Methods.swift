/// The methods of strings, lists, dicts and loops that do not change them.
enum Methods {
    /// Whether a value has a method of that name.
    static func has(_ name: String, _ value: Value) -> Bool {
        switch value {
        case .string: StringMethod(rawValue: name) != nil
        case .object: ObjectMethod(rawValue: name) != nil
        case .list, .tuple: ListMethod(rawValue: name) != nil
        case .runtime(.loop): LoopMethod(rawValue: name) != nil
        default: false
        }
    }

    /// Methods of dicts.
    enum ObjectMethod: String {
        case items, keys, values, get, copy
    }

    /// Methods of lists and tuples.
    enum ListMethod: String {
        case count, index, copy
    }

    /// Methods of `loop`.
    enum LoopMethod: String {
        case cycle, changed
    }

    /// Methods of strings.
    enum StringMethod: String {
        case split, rsplit, strip, lstrip, rstrip, startswith, endswith, replace, title, upper, lower,
            capitalize
        case casefold, swapcase, splitlines, find, rfind, index, rindex, count, join, format, zfill, center,
            ljust
        case rjust, partition, rpartition, removeprefix, removesuffix
        case isdigit, isdecimal, isnumeric, isalpha, isalnum, isspace, isupper, islower, isascii

        /// Whether it has no parameters.
        var takesNothing: Bool {
            switch self {
            case .title, .upper, .lower, .capitalize, .casefold, .swapcase, .isdigit, .isdecimal, .isnumeric,
                .isalpha, .isalnum, .isspace, .isupper, .islower, .isascii:
                true
            default: false
            }
        }
    }
}

extension Interpreter {
    /// `receiver.name(arguments)`.
    mutating func call(
        _ name: String, of receiver: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        try charge(reading: receiver)
        switch receiver {
        case .string(let string):
            if let method = Methods.StringMethod(rawValue: name) {
                return try call(method, of: string, arguments)
            }
        case .object(let object):
            if let method = Methods.ObjectMethod(rawValue: name) {
                return try call(method, of: object, arguments)
            }
        case .list(let list), .tuple(let list):
            if let method = Methods.ListMethod(rawValue: name) {
                return try call(method, of: receiver, list.items, arguments)
            }
        case .runtime(.loop(let index)):
            if let method = Methods.LoopMethod(rawValue: name), loops.indices.contains(index) {
                return try call(method, ofLoop: index, arguments)
            }
        default: break
        }
        throw failure("a \(receiver.typeName) has no method '\(name)'")
    }

    private mutating func call(
        _ method: Methods.ObjectMethod, of object: OrderedObject, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        if method != .get { _ = try bind(arguments, to: [], of: method.rawValue) }
        switch method {
        case .get:
            let bound = try bind(arguments, to: ["key", "default"], of: "get")
            guard let key = bound[0] else { throw failure("'get' needs a key") }
            return object[key: key] ?? bound[1] ?? Value.none
        case .items: return try pairs(of: object)
        case .keys: return try list(object.members.map(\.key))
        case .values: return try list(object.members.map(\.value))
        case .copy: return .object(object)
        }
    }

    /// The members of a dict as tuples.
    mutating func pairs(of object: OrderedObject) throws(JinjaError) -> Value {
        try charge(object.count)
        var pairs: [Value] = []
        for member in object.members { pairs.append(try tuple([member.key, member.value])) }
        return try list(pairs)
    }

    private mutating func call(
        _ method: Methods.ListMethod, of receiver: Value, _ items: [Value], _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        if method == .copy { return receiver }
        guard let wanted = arguments.positional.first else { throw failure("'\(method)' needs a value") }
        var count = 0
        for (index, item) in items.enumerated() where try equal(item, wanted) {
            if method == .index { return .int(index) }
            count += 1
        }
        if method == .index { throw failure("'index' does not find the value") }
        return .int(count)
    }

    private mutating func call(
        _ method: Methods.LoopMethod, ofLoop index: Int, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        switch method {
        case .cycle:
            guard !arguments.positional.isEmpty else { throw failure("'cycle' needs values") }
            return arguments.positional[loops[index].index % arguments.positional.count]
        case .changed:
            let value = try tuple(arguments.positional)
            if let seen = loops[index].seen, try equal(seen, value) { return .bool(false) }
            loops[index].seen = value
            return .bool(true)
        }
    }
}
