import JSON

extension JSONValue {
    /// A number that is a token's id.
    var identifier: Int32? { int.flatMap(Int32.init(exactly:)) }

    /// True or false, or `assumed` if it is null.
    func flag(_ assumed: Bool, _ name: String) throws(TokenizerError) -> Bool {
        guard !isNull else { return assumed }
        guard let bool else { throw TokenizerError("\(name) is neither true nor false") }
        return bool
    }
}
