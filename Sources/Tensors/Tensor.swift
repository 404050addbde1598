/// A dense row-major array on a device: a view of a storage, without arithmetic.
///
/// Copies share the bytes.
package struct Tensor: Sendable {
    /// The bytes it lies in.
    package let storage: Storage
    /// Where it begins in the storage.
    package let byteOffset: Int
    /// Its extents, outermost first.
    package let shape: Shape
    /// What an element is.
    package let elementType: ElementType

    /// A view of `storage` that must lie within it.
    package init(_ storage: Storage, byteOffset: Int = 0, shape: Shape, elementType: ElementType) {
        precondition(
            byteOffset >= 0 && byteOffset + shape.elementCount * elementType.byteCount <= storage.byteCount,
            "a tensor lies within its storage")
        self.storage = storage
        self.byteOffset = byteOffset
        self.shape = shape
        self.elementType = elementType
    }

    /// Where its first element is in the device's address space.
    package var address: UInt { storage.address + UInt(byteOffset) }
    /// How many elements it has.
    package var elementCount: Int { shape.elementCount }
    /// How many bytes they take.
    package var byteCount: Int { shape.elementCount * elementType.byteCount }

    /// The same elements under another shape of as many.
    package func reshaped(_ shape: Shape) -> Tensor {
        precondition(shape.elementCount == self.shape.elementCount, "as many elements as before")
        return Tensor(storage, byteOffset: byteOffset, shape: shape, elementType: elementType)
    }

    /// The part `range` of the outermost dimension.
    package subscript(range: Range<Int>) -> Tensor {
        precondition(
            shape.rank > 0 && range.lowerBound >= 0 && range.upperBound <= shape[0], "within the tensor")
        var extents = shape.list
        extents[0] = range.count
        let stride = shape[0] == 0 ? 0 : byteCount / shape[0]
        return Tensor(
            storage, byteOffset: byteOffset + range.lowerBound * stride, shape: Shape(extents),
            elementType: elementType)
    }
}
