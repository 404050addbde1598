/// Reads JSON text piece by piece, strictly (https://www.rfc-editor.org/rfc/rfc8259), without building a tree.
///
/// An array is read with `openArray` and a loop `while try cursor.nextElement()`, an object with `openObject`
/// and `while try cursor.nextKey(into: &key)`; the body of the loop reads exactly one value. Nesting is counted
/// and bounded, and nothing is read past the end. Strings that become a `String` are checked to be UTF-8; those
/// read as bytes or skipped are not.
package struct JSONCursor {
    /// The whole text.
    package let bytes: [UInt8]
    /// The next byte to read.
    package internal(set) var offset: Int
    /// What is taken and what not.
    let options: JSONOptions
    private var depth = 0
    /// Whether an array or object was opened just now, so that no comma comes before its next part.
    private var isAtStart = false
    /// Where the last key of the outermost object begins.
    private var outermostKeyOffset: Int?

    /// A cursor at the start of a text, or at a value within it.
    package init(_ bytes: [UInt8], at offset: Int = 0, options: JSONOptions = JSONOptions()) {
        self.bytes = bytes
        self.offset = offset
        self.options = options
    }

    /// The byte at the cursor; nil at the end.
    var next: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    /// The next byte that is not white space, without moving past it; nil at the end.
    package mutating func peek() -> UInt8? {
        while let byte = next {
            guard byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 else { return byte }
            offset += 1
        }
        return nil
    }

    /// Moves past `byte` if it comes next after white space.
    package mutating func take(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        offset += 1
        return true
    }

    /// Moves past `byte`, which must come next after white space.
    package mutating func expect(_ byte: UInt8) throws(JSONError) {
        guard take(byte) else { throw syntaxError("'\(Unicode.Scalar(byte))'") }
    }

    /// Throws unless only white space is left.
    package mutating func end() throws(JSONError) {
        guard peek() == nil else { throw syntaxError("that nothing follows the end") }
    }

    /// Moves into an array.
    package mutating func openArray() throws(JSONError) { try open(UInt8(ascii: "[")) }

    /// Moves into an object.
    package mutating func openObject() throws(JSONError) { try open(UInt8(ascii: "{")) }

    /// Moves to the next element of the array, or out of it: false.
    package mutating func nextElement() throws(JSONError) -> Bool { try nextPart(before: UInt8(ascii: "]")) }

    /// Moves to the next value of the object and reads its key, or out of the object: false.
    package mutating func nextKey(into key: inout [UInt8]) throws(JSONError) -> Bool {
        guard try nextPart(before: UInt8(ascii: "}")) else { return false }
        try startKey()
        try string(into: &key)
        try expect(UInt8(ascii: ":"))
        return true
    }

    /// The next key of the object, at whose value the cursor then is; nil behind the last, out of the object.
    package mutating func nextKey() throws(JSONError) -> String? {
        guard try nextPart(before: UInt8(ascii: "}")) else { return nil }
        try startKey()
        let key = try string()
        try expect(UInt8(ascii: ":"))
        return key
    }

    /// Moves past a value of any kind, of which only the form is checked.
    package mutating func skip() throws(JSONError) {
        switch peek() {
        case UInt8(ascii: "{"):
            try openObject()
            while try nextPart(before: UInt8(ascii: "}")) {
                try startKey()
                try skipString()
                try expect(UInt8(ascii: ":"))
                try skip()
            }
        case UInt8(ascii: "["):
            try openArray()
            while try nextElement() { try skip() }
        case UInt8(ascii: "\""): try skipString()
        case let byte? where byte == UInt8(ascii: "-") || byte < UInt8(ascii: ":"): _ = try skipNumber()
        default: _ = try value()
        }
    }

    private mutating func open(_ byte: UInt8) throws(JSONError) {
        try expect(byte)
        guard depth < options.maxDepth else { throw error(.tooDeep) }
        depth += 1
        isAtStart = true
    }

    private mutating func nextPart(before close: UInt8) throws(JSONError) -> Bool {
        if isAtStart {
            isAtStart = false
            guard take(close) else { return true }
        } else {
            guard !take(UInt8(ascii: ",")) else { return true }
            try expect(close)
        }
        depth -= 1
        return false
    }

    private mutating func startKey() throws(JSONError) {
        guard peek() == UInt8(ascii: "\"") else { throw syntaxError("a key") }
        if depth == 1 { outermostKeyOffset = offset }
    }

    /// The error that something else belongs at the cursor.
    func syntaxError(_ expected: String) -> JSONError { error(.syntax, expected: expected) }

    /// An error at the cursor, or at another place.
    func error(_ kind: JSONError.Kind, at place: Int? = nil, expected: String? = nil) -> JSONError {
        var key: String?
        if let outermostKeyOffset {
            var again = JSONCursor(bytes, at: outermostKeyOffset)
            key = try? again.string()
        }
        return JSONError(kind: kind, offset: place ?? offset, key: key, expected: expected)
    }
}
