import CKernels
import Tensors

extension CPUOperators {
    // x[i] = 0
    func clear(_ x: Tensor) {
        // Safe: within the tensor.
        unsafe x.bytes.initializeMemory(as: UInt8.self, repeating: 0, count: x.byteCount)
    }

    // out[0] = |{i : x[i] is not finite}|
    func countFaults(_ x: Tensor, out: Tensor) {
        let (values, count) = unsafe (x.floats, x.elementCount)
        var faults: Int32 = 0
        // Safe: within the tensor; there are fewer elements than an i32 counts.
        for index in 0..<count where unsafe !values[index].isFinite { faults += 1 }
        unsafe out.integers[0] = faults
    }

    // out[r] = x[rows[r]]
    func gatherRows(_ x: Tensor, rows: Tensor, out: Tensor) {
        let columnCount = x.shape.columnCount
        precondition(out.elementCount == rows.elementCount * columnCount, "out is [R, C]")
        // Safe: sizes are checked above, the rows by the kernel; the caller's tensors outlive the call.
        let found = unsafe vireo_gather_rows(
            pool.handle, x.floats, x.shape.rowCount, columnCount, rows.integers, rows.elementCount, out.floats
        )
        precondition(found, "every row is one of x")
    }

    // out[t] += Σⱼ weights[t, j] · table[rows[t, j]]
    func addRows(of table: Tensor, rows: Tensor, weights: Tensor?, to out: Tensor) {
        let (rowCount, columnCount) = (table.shape.rowCount, table.shape.columnCount)
        let count = out.shape.rowCount, terms = rows.elementCount / max(1, count)
        precondition(out.shape.columnCount == columnCount, "out is [T, C]")
        precondition(rows.elementCount == count * terms, "rows is [T, J]")
        precondition(weights?.elementCount ?? count * terms == count * terms, "a weight for each row")
        // Safe: sizes are checked above, the rows by the kernel; the caller's tensors outlive the call.
        let added = unsafe vireo_add_rows(
            pool.handle, table.floats, rowCount, columnCount, rows.integers, weights.map { unsafe $0.floats },
            terms, count, out.floats)
        precondition(added, "every row is one of the table")
    }

    // out[t, first + c] = x[t, c]
    func placeColumns(_ x: Tensor, at first: Int, of out: Tensor) {
        let (rowCount, count, width) = (x.shape.rowCount, x.shape.columnCount, out.shape.columnCount)
        precondition(first >= 0 && first + count <= width && out.shape.rowCount == rowCount, "columns of out")
        let (source, target) = unsafe (x.floats, out.floats + first)
        for row in 0..<rowCount {
            // Safe: sizes are checked above.
            unsafe (target + row * width).update(from: source + row * count, count: count)
        }
    }

    // ids below zero: of `previous`; out[t] = imageRows[t] < 0 ? scale · table[ids[t] − firstID] : images[imageRows[t]], or 0
    func embed(
        ids: Tensor, previous: Tensor, imageRows: Tensor, table: Tensor, firstID: Int, scale: Float,
        images: Tensor, out: Tensor,
    ) {
        let columnCount = table.shape.columnCount
        resolve(ids, previous)
        precondition(imageRows.elementCount == ids.elementCount, "imageRows is [T]")
        precondition(out.elementCount == ids.elementCount * columnCount, "out is [T, H]")
        // Safe: sizes are checked above, ids and rows by the kernel; the caller's tensors outlive the call.
        var call = unsafe vireo_embed_call()
        unsafe call.ids = UnsafePointer(ids.integers)
        unsafe call.image_rows = UnsafePointer(imageRows.integers)
        unsafe call.table = UnsafeRawPointer(table.bytes)
        unsafe call.type = table.computingType
        unsafe call.images = UnsafePointer(images.floats)
        unsafe call.tokens = ids.elementCount
        unsafe call.first_id = firstID
        unsafe call.scale = scale
        unsafe call.vocabulary = table.shape.rowCount
        unsafe call.image_count = images.elementCount / max(1, columnCount)
        unsafe call.columns = columnCount
        unsafe call.out = out.floats
        unsafe vireo_embed(pool.handle, &call)
    }

    /// Puts tokens of `previous` in the place of ids below zero.
    private func resolve(_ ids: Tensor, _ previous: Tensor) {
        let count = ids.elementCount, previousCount = previous.elementCount
        let (ids, previous) = unsafe (ids.integers, previous.integers)
        for index in 0..<count where unsafe ids[index] < 0 {
            let place = unsafe Int(-1 - ids[index])
            precondition(place < previousCount, "a token that was chosen")
            // Safe: both places are within their tensors.
            unsafe ids[index] = unsafe previous[place]
        }
    }
}
