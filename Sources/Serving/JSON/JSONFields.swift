import JSON

/// The members of one object of a request, read by name and type; errors name the member by its path.
struct JSONFields {
    let object: JSONObject
    /// Before the names in errors: "parameters." or nothing.
    let path: String

    /// The members of `value`, which must be an object; `name` is its own path.
    init(_ value: JSONValue, name: String) throws(ServingError) {
        guard case .object(let object) = value else {
            throw .badRequest(
                "\(name.isEmpty ? "the body" : name) must be an object", param: name.isEmpty ? nil : name)
        }
        self.object = object
        path = name.isEmpty ? "" : "\(name)."
    }

    /// The value of a member; nil when it is absent or `null`.
    subscript(name: String) -> JSONValue? {
        guard let value = object[name], !value.isNull else { return nil }
        return value
    }

    /// The path of a member, for `param`.
    func param(_ name: String) -> String { path + name }

    /// The error that a member is not what it must be: "must be …".
    func error(_ name: String, _ requirement: String) -> ServingError {
        .badRequest("\(param(name)) \(requirement)", param: param(name))
    }

    /// The error that a member asks for what is not there yet.
    func unsupported(_ name: String) -> ServingError { error(name, "is not supported yet") }

    /// A boolean, if present.
    func bool(_ name: String) throws(ServingError) -> Bool? {
        guard let value = self[name] else { return nil }
        guard case .bool(let bool) = value else { throw error(name, "must be true or false") }
        return bool
    }

    /// An integer, if present.
    func int(_ name: String) throws(ServingError) -> Int? {
        guard let value = self[name] else { return nil }
        guard let int = value.int else { throw error(name, "must be an integer below 2^63") }
        return int
    }

    /// A number, if present.
    func double(_ name: String) throws(ServingError) -> Double? {
        guard let value = self[name] else { return nil }
        guard let double = value.double else { throw error(name, "must be a number") }
        return double
    }

    /// A string, if present.
    func string(_ name: String) throws(ServingError) -> String? {
        guard let value = self[name] else { return nil }
        guard case .string(let string) = value else { throw error(name, "must be a string") }
        return string
    }

    /// An array, if present.
    func array(_ name: String) throws(ServingError) -> [JSONValue]? {
        guard let value = self[name] else { return nil }
        guard case .array(let array) = value else { throw error(name, "must be an array") }
        return array
    }

    /// The members of an object, if present.
    func fields(_ name: String) throws(ServingError) -> JSONFields? {
        guard let value = self[name] else { return nil }
        return try JSONFields(value, name: param(name))
    }

    /// Throws when any of these is present and not empty, zero or false.
    func refuse(_ names: [String]) throws(ServingError) {
        for name in names {
            switch self[name] {
            case nil, .bool(false), .string(""), .array([]): continue
            case .object(let object) where object.members.isEmpty: continue
            default: throw unsupported(name)
            }
        }
    }
}
