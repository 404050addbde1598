package import Tensors

/// What becomes of weights in host memory before a device takes them.
extension Tensor {
    /// A host matrix [R, C] with columns of zeros behind its own, [R, `columns`].
    package func widened(to columns: Int) throws(CheckpointError) -> Tensor {
        let (rows, own) = (shape.rowCount, shape.columnCount)
        precondition(columns >= own, "no narrower than before")
        guard columns > own else { return self }
        let from = own * elementType.byteCount, to = columns * elementType.byteCount
        return try unsafe filled([rows, columns], elementType) { source, target in
            unsafe target.initializeMemory(as: UInt8.self, repeating: 0)
            for row in 0..<rows {
                unsafe UnsafeMutableRawBufferPointer(rebasing: target[(row * to)..<(row * to + from)])
                    .copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: source[(row * from)..<((row + 1) * from)]))
            }
        }
    }

    /// The columns `range` of a host matrix [R, C], [R, range.count].
    package func columns(_ range: Range<Int>) throws(CheckpointError) -> Tensor {
        let (rows, own) = (shape.rowCount, shape.columnCount)
        precondition(range.lowerBound >= 0 && range.upperBound <= own, "columns of the matrix")
        guard range != 0..<own else { return self }
        let size = elementType.byteCount, width = range.count * size
        return try unsafe filled([rows, range.count], elementType) { source, target in
            for row in 0..<rows {
                let start = (row * own + range.lowerBound) * size
                unsafe UnsafeMutableRawBufferPointer(rebasing: target[(row * width)..<((row + 1) * width)])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[start..<(start + width)]))
            }
        }
    }

    /// A host matrix [R, C] on its side, [C, R].
    package func transposed() throws(CheckpointError) -> Tensor {
        let (rows, columns, size) = (shape.rowCount, shape.columnCount, elementType.byteCount)
        return try unsafe filled([columns, rows], elementType) { source, target in
            // In squares, so that what is read and what is written both stay in the cache.
            let side = 32
            for top in stride(from: 0, to: rows, by: side) {
                for left in stride(from: 0, to: columns, by: side) {
                    for column in left..<min(left + side, columns) {
                        for row in top..<min(top + side, rows) {
                            let (from, to) = ((row * columns + column) * size, (column * rows + row) * size)
                            // Safe: elements of matrices of these sizes.
                            if size == 2 {
                                unsafe target.storeBytes(
                                    of: source.loadUnaligned(fromByteOffset: from, as: UInt16.self),
                                    toByteOffset: to, as: UInt16.self)
                            } else {
                                unsafe target.storeBytes(
                                    of: source.loadUnaligned(fromByteOffset: from, as: UInt32.self),
                                    toByteOffset: to, as: UInt32.self)
                            }
                        }
                    }
                }
            }
        }
    }

    /// A host matrix of zeros.
    package static func zeros(_ shape: Shape, _ elementType: ElementType) throws(CheckpointError) -> Tensor {
        let tensor = Tensor(
            try .host(byteCount: shape.elementCount * elementType.byteCount), shape: shape,
            elementType: elementType)
        tensor.storage.fill { unsafe $0.initializeMemory(as: UInt8.self, repeating: 0) }
        return tensor
    }

    /// A host tensor with `number` added to every element, in f32.
    package func adding(_ number: Float) throws(CheckpointError) -> Tensor {
        let (count, elementType) = (shape.elementCount, elementType)
        return try unsafe filled(shape, .f32) { source, target in
            let sums = unsafe target.bindMemory(to: Float.self)
            for index in 0..<count {
                unsafe sums[index] = Self.float(index, of: source, elementType) + number
            }
        }
    }

    /// The sums over the middle of a host tensor [A, n, B], f32 [A, B].
    package func summedOverMiddle() throws(CheckpointError) -> Tensor {
        precondition(shape.rank == 3, "a tensor [A, n, B]")
        let (outer, count, inner) = (shape[0], shape[1], shape[2])
        let elementType = elementType
        return try unsafe filled([outer, inner], .f32) { source, target in
            let sums = unsafe target.bindMemory(to: Float.self)
            for a in 0..<outer {
                for b in 0..<inner {
                    var sum: Float = 0
                    for middle in 0..<count {
                        unsafe sum += Self.float((a * count + middle) * inner + b, of: source, elementType)
                    }
                    unsafe sums[a * inner + b] = sum
                }
            }
        }
    }

    /// Element `index` of `bytes`.
    private static func float(
        _ index: Int, of bytes: UnsafeRawBufferPointer, _ elementType: ElementType,
    ) -> Float {
        // Safe: the callers' indices lie within the tensor.
        switch elementType {
        case .f32: unsafe Float(bitPattern: bytes.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self))
        case .bf16:
            unsafe Float(
                bitPattern: UInt32(bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)) << 16)
        case .f16:
            unsafe Float(
                Float16(bitPattern: bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)))
        case .u8, .i32, .i64: preconditionFailure("weights are floating-point numbers")
        }
    }

    /// A new host tensor that `body` makes of this one's bytes; without memory when this one has none.
    private func filled(
        _ shape: Shape, _ elementType: ElementType,
        _ body: (UnsafeRawBufferPointer, UnsafeMutableRawBufferPointer) -> Void,
    ) throws(CheckpointError) -> Tensor {
        let byteCount = shape.elementCount * elementType.byteCount
        guard storage.address != 0 else {
            return Tensor(
                Storage(address: 0, byteCount: byteCount) { _ in }, shape: shape, elementType: elementType)
        }
        let made = try Storage.host(byteCount: byteCount)
        withHostBytes { source in made.fill { unsafe body(source, $0) } }
        return Tensor(made, shape: shape, elementType: elementType)
    }
}
