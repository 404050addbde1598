/// An immutable dict that keeps the order its members came in.
package struct OrderedObject: Sendable {
    /// A key and what it stands for.
    package typealias Member = (key: Value, value: Value)

    private final class Storage: Sendable {
        let members: [Member]
        let index: [Key: Int]
        let depth: Int

        init(members: [Member], index: [Key: Int]) {
            self.members = members
            self.index = index
            depth = members.reduce(0) { max($0, $1.value.depth) } + 1
        }
    }

    private let storage: Storage

    /// Members named by strings; a name's last value counts, at the place of its first.
    package init(_ members: [(String, Value)]) {
        self.init(keyed: members.map { (.string($0.0), $0.1) })
    }

    /// Members with any keys a dict can have; others are left out.
    init(keyed members: [Member]) {
        var kept: [Member] = []
        kept.reserveCapacity(members.count)
        var index: [Key: Int] = [:]
        index.reserveCapacity(members.count)
        for member in members {
            guard let key = Key(member.key) else { continue }
            if let place = index[key] {
                kept[place].value = member.value
            } else {
                index[key] = kept.count
                kept.append(member)
            }
        }
        storage = Storage(members: kept, index: index)
    }

    /// The members in order.
    package var members: [Member] { storage.members }
    /// How many members there are.
    package var count: Int { storage.members.count }
    /// One more than the deepest member.
    var depth: Int { storage.depth }

    /// The value of that name.
    package subscript(name: String) -> Value? {
        storage.index[.text(Text(name))].map { storage.members[$0].value }
    }

    /// The value of that key.
    subscript(key key: Value) -> Value? {
        Key(key).flatMap { storage.index[$0] }.map { storage.members[$0].value }
    }
}

/// What makes two dict keys the same: 1, 1.0 and True are one key.
enum Key: Hashable {
    case nothing
    case integer(Int)
    case real(Double)
    case text(Text)

    /// Nothing for values that cannot be keys.
    init?(_ value: Value) {
        switch value {
        case .none: self = .nothing
        case .bool, .int: self = .integer(value.integer ?? 0)
        case .double(let double): self = Int(exactly: double).map(Key.integer) ?? .real(double)
        case .string(let string): self = .text(Text(string))
        default: return nil
        }
    }
}

/// A string that equals another only if every scalar does: Swift's own equality takes composed for
/// decomposed.
struct Text: Hashable {
    /// The string itself.
    let string: String

    /// Wraps a string.
    init(_ string: String) {
        self.string = string
    }

    static func == (left: Text, right: Text) -> Bool {
        left.string.utf8.count == right.string.utf8.count && left.string.utf8.elementsEqual(right.string.utf8)
    }

    func hash(into hasher: inout Hasher) {
        // Equal scalars hash alike, and that is all that is needed.
        hasher.combine(string)
    }
}
