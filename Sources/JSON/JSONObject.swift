/// The members of a JSON object in the order they came, each key once.
package struct JSONObject: Sendable, Hashable, ExpressibleByDictionaryLiteral {
    /// Keys and values.
    package private(set) var members: [(key: String, value: JSONValue)] = []
    /// Where each key is, once there are too many to look at each.
    private var places: [ByteKey: Int] = [:]

    private static let fewest = 8

    /// No members.
    package init() {}

    /// The members in their order.
    package init(dictionaryLiteral members: (String, JSONValue)...) {
        for (key, value) in members { set(key, value) }
    }

    /// Adds a member, or replaces the value of the one that has the key.
    package mutating func set(_ key: String, _ value: JSONValue) {
        if let place = place(of: key) {
            members[place].value = value
            return
        }
        members.append((key, value))
        if places.isEmpty {
            guard members.count > Self.fewest else { return }
            for (place, member) in members.enumerated() { places[ByteKey(text: member.key)] = place }
        } else {
            places[ByteKey(text: key)] = members.count - 1
        }
    }

    /// Whether there is a member with the key.
    package func contains(_ key: String) -> Bool { place(of: key) != nil }

    /// The value of a key; nil when it is absent.
    package subscript(key: String) -> JSONValue? { place(of: key).map { members[$0].value } }

    private func place(of key: String) -> Int? {
        guard places.isEmpty else { return places[ByteKey(text: key)] }
        return members.firstIndex { ByteKey(text: $0.key) == ByteKey(text: key) }
    }

    /// A key compared by its bytes: Swift's strings are equal when only their normal forms are.
    private struct ByteKey: Sendable, Hashable {
        let text: String

        static func == (left: ByteKey, right: ByteKey) -> Bool {
            left.text.utf8.elementsEqual(right.text.utf8)
        }

        func hash(into hasher: inout Hasher) {
            // Eight bytes at a time; those shifted out have been combined.
            var word: UInt64 = 0
            var count = 0
            for byte in text.utf8 {
                word = word << 8 | UInt64(byte)
                count += 1
                if count & 7 == 0 { hasher.combine(word) }
            }
            hasher.combine(word)
            hasher.combine(count)
        }
    }

    /// Whether the same members come in the same order.
    package static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.members.elementsEqual(right.members) { $0.key == $1.key && $0.value == $1.value }
    }

    /// Feeds the members in their order.
    package func hash(into hasher: inout Hasher) {
        for (key, value) in members {
            hasher.combine(key)
            hasher.combine(value)
        }
    }
}
