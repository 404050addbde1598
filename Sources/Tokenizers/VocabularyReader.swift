import JSON

/// Reads the members of `vocab` one by one, into a buffer that is used again.
struct VocabularyReader {
    private var cursor: JSONCursor
    /// The token that was read, as it is spelled.
    private(set) var token: [UInt8] = []

    /// A reader of the object at the cursor.
    init(_ cursor: JSONCursor) throws(TokenizerError) {
        self.cursor = cursor
        guard self.cursor.peek() == UInt8(ascii: "{") else {
            throw TokenizerError("the model's vocab is not an object")
        }
        do throws(JSONError) { try self.cursor.openObject() } catch { throw TokenizerError(error) }
    }

    /// Reads the next token and returns its id; nil when there is none.
    mutating func next() throws(TokenizerError) -> Int32? {
        do throws(JSONError) {
            guard try cursor.nextKey(into: &token) else { return nil }
            if let id = Int32(exactly: try cursor.wholeNumber()) { return id }
        } catch {
            throw TokenizerError(error)
        }
        throw TokenizerError("a token id does not fit in 31 bits at byte \(cursor.offset)")
    }
}
