/// The extents of a dense row-major tensor, outermost first; up to five, kept inline.
package struct Shape: Hashable, Sendable, ExpressibleByArrayLiteral, CustomStringConvertible {
    private var extents: SIMD8<Int>
    /// How many dimensions there are.
    package let rank: Int

    /// A shape of at most five extents, none below zero.
    package init(_ extents: [Int]) {
        precondition(
            extents.count <= 5 && extents.allSatisfy { $0 >= 0 }, "up to five extents, none negative")
        var values = SIMD8<Int>(repeating: 1)
        for (index, extent) in extents.enumerated() { values[index] = extent }
        self.extents = values
        rank = extents.count
    }

    package init(arrayLiteral extents: Int...) { self.init(extents) }

    /// The extent of dimension `index`, counted from the outermost.
    package subscript(index: Int) -> Int {
        precondition(index >= 0 && index < rank, "a dimension of the shape")
        return extents[index]
    }

    /// The product of all extents.
    package var elementCount: Int { (0..<rank).reduce(1) { $0 * extents[$1] } }

    /// The innermost extent; 1 for a scalar.
    package var columnCount: Int { rank == 0 ? 1 : extents[rank - 1] }

    /// The product of all extents but the innermost.
    package var rowCount: Int { rank == 0 ? 1 : (0..<(rank - 1)).reduce(1) { $0 * extents[$1] } }

    /// The extents as a list.
    package var list: [Int] { (0..<rank).map { extents[$0] } }

    package var description: String { "[" + list.map(String.init).joined(separator: ", ") + "]" }
}
