package import JSON

/// An object of a configuration file, read setting by setting; every error names the file and the key.
///
/// A setting that is absent and one that is null are the same.
package struct ConfigSection: Sendable, Hashable {
    /// The file's name.
    package let file: String
    /// Where the object is in the file: empty, or keys each with a dot behind.
    package let path: String
    /// The settings by their keys.
    package let settings: JSONObject

    /// The object `settings` of `file`.
    package init(file: String, path: String = "", settings: JSONObject) {
        self.file = file
        self.path = path
        self.settings = settings
    }

    /// Python writes these files, NaN included; a key that is there twice has no one meaning.
    private static let options = JSONOptions(refusesDuplicateKeys: true, acceptsNonFinite: true)

    /// The object that is the whole of a file.
    package static func parse(_ bytes: [UInt8], file: String) throws(CheckpointError) -> ConfigSection {
        do throws(JSONError) {
            let value = try JSONValue(reading: bytes, options: options)
            if let settings = value.object { return ConfigSection(file: file, settings: settings) }
        } catch {
            let isDeep = error.kind == .tooDeep
            let problem = isDeep ? "it nests deeper than \(options.maxDepth) levels" : error.problem
            throw .malformed(file: file, problem: "no valid JSON: \(problem)")
        }
        throw .malformed(file: file, problem: "no JSON object")
    }

    /// The setting of the first of `keys` that is there.
    package func value(_ keys: String...) -> JSONValue? {
        for key in keys {
            if let value = settings[key], !value.isNull { return value }
        }
        return nil
    }

    /// The error that setting `key` is unusable.
    package func refusal(_ key: String, _ problem: String) -> CheckpointError {
        .badSetting(file: file, key: path + key, problem: problem)
    }

    /// A whole number within bounds; `fallback` when absent, an error without one.
    package func int(
        _ key: String, atLeast least: Int = 1, atMost most: Int, or fallback: Int? = nil,
    ) throws(CheckpointError) -> Int {
        guard let value = value(key) else { return try required(fallback, key) }
        guard let number = value.int, number >= least, number <= most else {
            throw refusal(key, "is \(value.summary), but must be a whole number from \(least) to \(most)")
        }
        return number
    }

    /// A finite number within bounds; `fallback` when absent, an error without one.
    package func double(
        _ key: String, atLeast least: Double, atMost most: Double, or fallback: Double? = nil,
    ) throws(CheckpointError) -> Double {
        guard let value = value(key) else { return try required(fallback, key) }
        guard let number = value.double, number >= least, number <= most else {
            throw refusal(key, "is \(value.summary), but must be a number from \(least) to \(most)")
        }
        return number
    }

    /// A truth value; `fallback` when absent, an error without one.
    package func bool(_ key: String, or fallback: Bool? = nil) throws(CheckpointError) -> Bool {
        guard let value = value(key) else { return try required(fallback, key) }
        guard let truth = value.bool else {
            throw refusal(key, "is \(value.summary), but must be true or false")
        }
        return truth
    }

    /// A string; `fallback` when absent, an error without one.
    package func string(_ key: String, or fallback: String? = nil) throws(CheckpointError) -> String {
        guard let value = value(key) else { return try required(fallback, key) }
        guard let text = value.string else { throw refusal(key, "is \(value.summary), but must be a string") }
        return text
    }

    /// A side of a square, written as one number or as [height, width]; `fallback` when absent, an error without one.
    package func side(_ key: String, atMost most: Int, or fallback: Int? = nil) throws(CheckpointError) -> Int
    {
        guard let pair = value(key)?.array else { return try int(key, atMost: most, or: fallback) }
        guard pair.count == 2, pair[0] == pair[1] else {
            throw refusal(key, "must be a square: [side, side]")
        }
        return try ConfigSection(file: file, path: path, settings: [key: pair[0]]).int(key, atMost: most)
    }

    /// A list of `count` finite numbers; nil when absent.
    package func doubles(_ key: String, count: Int) throws(CheckpointError) -> [Double]? {
        guard let value = value(key) else { return nil }
        let numbers = value.array?.compactMap(\.double) ?? []
        guard numbers.count == count, value.array?.count == count else {
            throw refusal(key, "is \(value.summary), but must be a list of \(count) numbers")
        }
        return numbers
    }

    /// A list of whole numbers; nil when absent.
    package func ints(_ key: String) throws(CheckpointError) -> [Int]? {
        guard let value = value(key) else { return nil }
        let numbers = value.array?.compactMap(\.int) ?? []
        guard value.array?.count == numbers.count else {
            throw refusal(key, "is \(value.summary), but must be a list of whole numbers")
        }
        return numbers
    }

    /// The object at `key`; nil when absent.
    package func section(_ key: String) throws(CheckpointError) -> ConfigSection? {
        guard let value = value(key) else { return nil }
        guard let settings = value.object else {
            throw refusal(key, "is \(value.summary), but must be an object")
        }
        return ConfigSection(file: file, path: path + key + ".", settings: settings)
    }

    /// The object at `key`; an error when absent.
    package func requiredSection(_ key: String) throws(CheckpointError) -> ConfigSection {
        try required(try section(key), key)
    }

    private func required<Value>(_ value: Value?, _ key: String) throws(CheckpointError) -> Value {
        guard let value else { throw refusal(key, "is missing") }
        return value
    }
}
