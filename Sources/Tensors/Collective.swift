/// What ranks that compute one model together do together, as one of them sees it.
///
/// Every rank calls the same functions in the same order, each with tensors of its own device; a call returns, or takes its
/// place in the device's order, when its result may be used.
package protocol Collective: Sendable {
    /// Which rank this is, from zero.
    var rank: Int { get }
    /// How many there are.
    var rankCount: Int { get }

    /// x = Σ over ranks x, added in the order of the ranks; x is f32, of the same shape everywhere.
    func sum(_ x: Tensor)
    /// Copies the columns `parts[k]` of rank k's `x` to the same columns of every other; x is [R, C] of four-byte elements
    /// everywhere, and parts that several ranks have are the same on them.
    func shareColumns(_ x: Tensor, parts: [Range<Int>])

    /// Lets the others go on when this rank cannot: whatever they compute from now on is void.
    func abandon()
    /// Makes up for `abandon`; called by one rank, while none meets.
    func rejoin()
    /// Whether a rank has abandoned the others.
    var isAbandoned: Bool { get }

    /// While `isOn`, exchanges do nothing, so that ranks can rehearse one by one what they will do together.
    func rehearseAlone(_ isOn: Bool)
}

extension Collective {
    // Where the work is done when a call returns there is nothing to rehearse.
    package func rehearseAlone(_ isOn: Bool) {}

    /// The same for rows: columns of all rows behind one another.
    package func share(_ x: Tensor, parts: [Range<Int>]) {
        let width = x.shape.columnCount
        shareColumns(
            x.reshaped([1, x.elementCount]),
            parts: parts.map { ($0.lowerBound * width)..<($0.upperBound * width) })
    }

    /// This rank's part of `count` things, which the number of ranks divides.
    package func part(of count: Int) -> Range<Int> {
        precondition(count.isMultiple(of: rankCount), "every rank has as many")
        return (rank * count / rankCount)..<((rank + 1) * count / rankCount)
    }
}
