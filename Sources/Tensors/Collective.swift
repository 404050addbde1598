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
    /// Copies the rows `parts[k]` of rank k's `x` to the same rows of every other; x is [R, C] of four-byte elements
    /// everywhere.
    func share(_ x: Tensor, parts: [Range<Int>])
    /// Copies the columns `parts[k]` of rank k's `x` to the same columns of every other; x is [R, C] of four-byte elements
    /// everywhere.
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

    /// This rank's part of `count` things, which the number of ranks divides.
    package func part(of count: Int) -> Range<Int> {
        precondition(count.isMultiple(of: rankCount), "every rank has as many")
        return (rank * count / rankCount)..<((rank + 1) * count / rankCount)
    }
}
