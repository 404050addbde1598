import CCUDA
import Tensors

extension CUDAOperators {
    // out[t, c] = x[t, c] / √(mean_c x[t, c]² + ε) · weight[c]
    func rmsNorm(_ x: Tensor, weight: Tensor, epsilon: Float, out: Tensor) {
        let (rowCount, columnCount) = (x.shape.rowCount, x.shape.columnCount)
        precondition(weight.elementCount == columnCount && out.elementCount == x.elementCount, "as wide as x")
        stream.launch(
            rows.rmsNorm, grid: (rowCount, 1, 1), block: RowKernels.threads(columnCount),
            work: KernelWork(bytes: 6 * x.elementCount),
            [.init(x), .init(weight), .init(out), .init(rowCount), .init(columnCount), .init(epsilon)])
    }

    // out[t, c] += x[t, c] / √(mean_c x[t, c]² + ε) · weight[c]
    func addNorm(_ x: Tensor, weight: Tensor, epsilon: Float, to out: Tensor) {
        let (rowCount, columnCount) = (x.shape.rowCount, x.shape.columnCount)
        precondition(weight.elementCount == columnCount && out.elementCount == x.elementCount, "as wide as x")
        stream.launch(
            rows.addNorm, grid: (rowCount, 1, 1), block: RowKernels.threads(columnCount),
            work: KernelWork(bytes: 12 * x.elementCount),
            [.init(x), .init(weight), .init(out), .init(rowCount), .init(columnCount), .init(epsilon)])
    }

    // x[t, c] = x[t, c] / √(mean_c x[t, c]² + ε) · weight[c] for c in columns
    func rmsNorm(_ x: Tensor, columns: Range<Int>, weight: Tensor, epsilon: Float) {
        let (rowCount, stride) = (x.shape.rowCount, x.shape.columnCount)
        precondition(columns.lowerBound >= 0 && columns.upperBound <= stride, "columns of x")
        precondition(weight.elementCount == columns.count, "as wide as the columns")
        stream.launch(
            rows.rmsNormColumns, grid: (rowCount, 1, 1), block: RowKernels.threads(columns.count),
            [
                .init(x), .init(weight), .init(rowCount), .init(stride), .init(columns.lowerBound),
                .init(columns.count), .init(epsilon),
            ])
    }

    // out[t, k] = Σ_c x[t, c]² for c in columns[k]
    func sumSquares(_ x: Tensor, columns: [Range<Int>], out: Tensor) {
        let stride = x.shape.columnCount
        precondition(columns.allSatisfy { $0.lowerBound >= 0 && $0.upperBound <= stride }, "columns of x")
        precondition(out.shape.rowCount == x.shape.rowCount, "out is [T, K]")
        for (place, range) in columns.enumerated() {
            stream.launch(
                rows.sumSquares, grid: (x.shape.rowCount, 1, 1), block: 256,
                [
                    .init(x), .init(out), .init(stride), .init(range.lowerBound), .init(range.count),
                    .init(out.shape.columnCount), .init(place),
                ])
        }
    }

    // x[t, c] = x[t, c] / √(squares[t, column] / count + ε) · weight[c] for c in columns
    func scaleColumns(
        _ x: Tensor, columns: Range<Int>, weight: Tensor, squares: Tensor, column: Int, count: Int,
        epsilon: Float,
    ) {
        precondition(columns.lowerBound >= 0 && columns.upperBound <= x.shape.columnCount, "columns of x")
        precondition(weight.elementCount == columns.count, "as wide as the columns")
        stream.launch(
            rows.scaleColumns, grid: (x.shape.rowCount, 1, 1), block: 256,
            [
                .init(x), .init(weight), .init(squares), .init(x.shape.columnCount),
                .init(columns.lowerBound),
                .init(columns.count), .init(squares.shape.columnCount), .init(column), .init(count),
                .init(epsilon),
            ])
    }

    // out[t, c] = (x[t, c] − mean) / √(variance + ε) · weight[c] + bias[c]
    func layerNorm(_ x: Tensor, weight: Tensor, bias: Tensor, epsilon: Float, out: Tensor) {
        let (rowCount, columnCount) = (x.shape.rowCount, x.shape.columnCount)
        precondition(weight.elementCount == columnCount && bias.elementCount == columnCount, "as wide as x")
        precondition(out.elementCount == x.elementCount, "out is [T, C]")
        stream.launch(
            out.elementType == .f32 ? rows.layerNormWide : rows.layerNorm, grid: (rowCount, 1, 1),
            block: RowKernels.threads(columnCount),
            work: KernelWork(bytes: 6 * x.elementCount),
            [
                .init(x), .init(weight), .init(bias), .init(out), .init(rowCount), .init(columnCount),
                .init(epsilon),
            ])
    }

    // out[t, i] = silu(x[t, i]) · x[t, I + i]
    func siluMultiply(_ x: Tensor, out: Tensor) { gate(rows.siluMultiply, x, out: out) }

    // out[t, i] = gelu(x[t, i]) · x[t, I + i], by a tanh
    func geluMultiply(_ x: Tensor, out: Tensor) { gate(rows.geluMultiply, x, out: out) }

    private func gate(_ kernel: CUDAKernel, _ x: Tensor, out: Tensor) {
        let (rowCount, columnCount) = (x.shape.rowCount, x.shape.columnCount / 2)
        let perBlock = columnCount.isMultiple(of: 8) ? 2048 : 256
        stream.launch(
            kernel, grid: ((columnCount + perBlock - 1) / perBlock, min(rowCount, 65_535), 1),
            block: 256, work: KernelWork(bytes: 3 * x.byteCount / 2),
            [.init(x), .init(out), .init(rowCount), .init(columnCount)])
    }

    // x[i] = gelu(x[i])
    func gelu(_ x: Tensor, _ kind: GELU) {
        stream.launch(
            rows.gelu, grid: (blocks(x.elementCount, perBlock: 2048, most: 32), 1, 1), block: 256,
            work: KernelWork(bytes: 2 * x.byteCount),
            [.init(x), .init(wide: UInt64(x.elementCount)), .init(kind.kernelNumber)])
    }

    // out[r] = x[rows[r]]
    func gatherRows(_ x: Tensor, rows indices: Tensor, out: Tensor) {
        let columnCount = x.shape.columnCount
        precondition(out.elementCount == indices.elementCount * columnCount, "out is [R, C]")
        stream.launch(
            out.elementType == .f32 ? rows.gatherRows : rows.gatherRowsNarrow,
            grid: (indices.elementCount, 1, 1), block: 256,
            [
                .init(x), .init(indices), .init(out), .init(indices.elementCount), .init(columnCount),
                .init(x.shape.rowCount),
            ])
    }

    // out[t, first + c] = x[t, c]
    func placeColumns(_ x: Tensor, at first: Int, of out: Tensor) {
        let (rowCount, columnCount, width) = (x.shape.rowCount, x.shape.columnCount, out.shape.columnCount)
        precondition(
            first >= 0 && first + columnCount <= width && out.shape.rowCount == rowCount, "columns of out")
        stream.launch(
            rows.placeColumns, grid: ((columnCount + 1023) / 1024, min(rowCount, 65_535), 1), block: 256,
            work: KernelWork(bytes: 2 * x.byteCount),
            [.init(x), .init(out), .init(rowCount), .init(columnCount), .init(width), .init(first)])
    }

    // out[t] += Σⱼ weights[t, j] · table[rows[t, j]]
    func addRows(of table: Tensor, rows indices: Tensor, weights: Tensor?, to out: Tensor) {
        let columnCount = table.shape.columnCount
        let count = out.shape.rowCount, terms = indices.elementCount / max(1, count)
        precondition(out.shape.columnCount == columnCount, "out is [T, C]")
        precondition(indices.elementCount == count * terms, "rows is [T, J]")
        precondition(weights?.elementCount ?? count * terms == count * terms, "a weight for each row")
        stream.launch(
            rows.addRows, grid: (count, 1, 1), block: 256,
            [
                .init(table), .init(indices), .init(weights), .init(out), .init(count), .init(terms),
                .init(columnCount), .init(table.shape.rowCount),
            ])
    }

    // x[i] = 0
    func clear(_ x: Tensor) { stream.fill(x.address, byteCount: x.byteCount) }

    // out[0] = 1 if some x[i] is not finite, else 0
    func countFaults(_ x: Tensor, out: Tensor) {
        stream.fill(out.address, byteCount: out.byteCount)
        stream.launch(
            rows.checkFinite, grid: (blocks(x.elementCount, perBlock: 1024, most: 8), 1, 1), block: 256,
            [.init(x), .init(wide: UInt64(x.elementCount)), .init(out)])
    }

    // out[t] = imageRows[t] < 0 ? scale · table[ids[t]] : images[imageRows[t]]; ids below zero: of `previous`
    func embed(
        ids: Tensor, previous: Tensor, imageRows: Tensor, table: Tensor, firstID: Int, scale: Float,
        images: Tensor, out: Tensor,
    ) {
        let columnCount = table.shape.columnCount
        precondition(table.elementType == .bf16, "a bf16 table")
        precondition(imageRows.elementCount == ids.elementCount, "imageRows is [T]")
        precondition(out.elementCount == ids.elementCount * columnCount, "out is [T, H]")
        stream.launch(
            rows.embed, grid: (ids.elementCount, 1, 1), block: 256,
            [
                .init(ids), .init(previous), .init(imageRows), .init(table), .init(images), .init(out),
                .init(ids.elementCount), .init(columnCount), .init(table.shape.rowCount),
                .init(images.elementCount / max(1, columnCount)), .init(previous.elementCount),
                .init(firstID), .init(scale),
            ])
    }

    // out[i] = n[i]·cos − n[i + R/2]·sin, out[i + R/2] = n[i + R/2]·cos + n[i]·sin
    func rotateAndStore(
        qkv: Tensor, heads: HeadLayout, norms: HeadNorms?, rotary: RotaryTable, batch: AttentionBatch,
        cache: KVLayer,
    ) {
        turn(
            qkv, heads, rotary, batch.positions, norms: norms, slots: batch.slots, keys: cache.keys,
            values: cache.values, pageSize: cache.pageSize, slotCount: cache.keys.shape[0] * cache.pageSize)
    }

    // The same in place, for queries and keys
    func rotate(qkv: Tensor, heads: HeadLayout, rotary: RotaryTable, positions: Tensor) {
        turn(qkv, heads, rotary, positions)
    }

    private func turn(
        _ qkv: Tensor, _ heads: HeadLayout, _ rotary: RotaryTable, _ positions: Tensor,
        norms: HeadNorms? = nil, slots: Tensor? = nil, keys: Tensor? = nil, values: Tensor? = nil,
        pageSize: Int = 1, slotCount: Int = 0,
    ) {
        let tokenCount = qkv.shape.rowCount, pairs = rotary.cosines.shape.columnCount
        precondition(qkv.shape.columnCount == heads.columnCount, "qkv is [T, queries, keys and values]")
        precondition(
            heads.headDim.isMultiple(of: 8) && heads.headDim <= 256 && pairs.isMultiple(of: 4)
                && 2 * pairs <= heads.headDim, "heads of a multiple of 8 values, turned by fours")
        precondition(rotary.axes?.elementCount ?? pairs == pairs, "an axis for each pair")
        var lanes = 1
        while lanes < heads.headDim / 8 { lanes *= 2 }
        let threads = 192
        stream.launch(
            rows.rotate,
            grid: (tokenCount, ((heads.heads + 2 * heads.keyValueHeads) * lanes + threads - 1) / threads, 1),
            block: threads, work: KernelWork(bytes: 2 * qkv.byteCount),
            [
                .init(qkv), .init(rotary.cosines), .init(rotary.sines), .init(positions),
                .init(rotary.axes), .init(slots), .init(norms?.queryWeight), .init(norms?.keyWeight),
                .init(norms?.epsilon ?? 0), .init(keys), .init(values), .init(tokenCount),
                .init(heads.heads), .init(heads.keyValueHeads), .init(heads.headDim), .init(pairs),
                .init(pageSize), .init(slotCount), .init(rotary.cosines.shape[0]),
            ])
    }

    /// Fills bf16 with random numbers: 16 bits of a splitmix64 stream each, times `scale`.
    func fillRandom(_ out: Tensor, seed: UInt64, scale: Float) {
        stream.launch(
            rows.fillRandom, grid: (blocks(out.elementCount, perBlock: 1024), 1, 1), block: 256,
            [.init(out), .init(wide: UInt64(out.elementCount)), .init(wide: seed), .init(scale)])
    }

    /// Copies a tensor on the device.
    func copy(_ x: Tensor, to out: Tensor) {
        stream.enter()
        unsafe stream.note(
            stream.libraries.driver.copy(UInt64(out.address), UInt64(x.address), x.byteCount, stream.handle),
            "copying")
    }

    /// Brings the host tensor `source` to `target` in the type of that one, each row times its entry in `scale`.
    func upload(_ source: Tensor, to target: Tensor, scale: Tensor?, lane: UploadLane) throws(DeviceError) {
        guard let from = source.elementType.kernelNumber, let to = target.elementType.kernelNumber else {
            throw .unsupportedConversion(from: source.elementType, to: target.elementType)
        }
        // Safe: a host tensor's address is a host pointer; the tensor outlives the call.
        let bytes = unsafe UnsafeRawBufferPointer(
            start: UnsafeRawPointer(bitPattern: source.address), count: source.byteCount)
        if from == to, scale == nil {
            unsafe lane.send(bytes, to: target.address)
            return
        }
        let columnCount = source.shape.columnCount, rowCount = source.shape.rowCount
        let rowBytes = columnCount * source.elementType.byteCount
        let step = max(1, lane.pieceByteCount / max(1, rowBytes))
        let scratch = try CUDADevice.storage(stream, byteCount: min(rowCount, step) * rowBytes)
        for start in stride(from: 0, to: rowCount, by: step) {
            let count = min(step, rowCount - start)
            let part = unsafe UnsafeRawBufferPointer(
                rebasing: bytes[(start * rowBytes)..<((start + count) * rowBytes)])
            unsafe lane.send(part, to: scratch.address)
            let elements = count * columnCount
            let offset = UInt(start * columnCount * target.elementType.byteCount)
            lane.stream.launch(
                rows.convert, grid: (blocks(elements, perBlock: 1024), 1, 1), block: 256,
                [
                    .init(wide: UInt64(scratch.address)), .init(from),
                    .init(wide: UInt64(target.address + offset)),
                    .init(to), .init(wide: UInt64(scale.map { $0.address + UInt(start * 4) } ?? 0)),
                    .init(wide: UInt64(elements)), .init(wide: UInt64(columnCount)),
                ])
        }
        try lane.stream.wait()
    }
}

extension ElementType {
    /// The kernels' number of a floating-point type.
    fileprivate var kernelNumber: Int? {
        switch self {
        case .f32: 0
        case .bf16: 1
        case .f16: 2
        case .u8, .i32, .i64: nil
        }
    }
}

extension GELU {
    /// The kernel's number of it.
    fileprivate var kernelNumber: Int {
        switch self {
        case .exact: 0
        case .tanh: 1
        case .logistic: 2
        }
    }
}
