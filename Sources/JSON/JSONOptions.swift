/// What a reader takes beyond, or refuses of, what RFC 8259 leaves open.
package struct JSONOptions: Sendable, Hashable {
    /// How deep arrays and objects may nest.
    package var maxDepth: Int
    /// Whether a key that comes twice in an object is an error; if not, the last one counts, as in Python.
    package var refusesDuplicateKeys: Bool
    /// Whether NaN, Infinity, -Infinity and numbers too large for a Double pass, as in Python.
    ///
    /// No accessor returns them.
    package var acceptsNonFinite: Bool

    /// Options; those of a request unless said otherwise.
    package init(maxDepth: Int = 64, refusesDuplicateKeys: Bool = false, acceptsNonFinite: Bool = false) {
        self.maxDepth = maxDepth
        self.refusesDuplicateKeys = refusesDuplicateKeys
        self.acceptsNonFinite = acceptsNonFinite
    }
}
