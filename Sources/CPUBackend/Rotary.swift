import CKernels
import Tensors

extension CPUOperators {
    // n = norms ? x / √(mean x² + ε) · weight : x
    // out[i] = n[i]·cos − n[i + R/2]·sin, out[i + R/2] = n[i + R/2]·cos + n[i]·sin, out[R...] = n[R...]
    func rotateAndStore(
        qkv: Tensor, heads: HeadLayout, norms: HeadNorms?, rotary: RotaryTable, batch: AttentionBatch,
        cache: KVLayer,
    ) {
        for weight in [norms?.queryWeight, norms?.keyWeight] {
            precondition(weight?.elementCount ?? heads.headDim == heads.headDim, "norms as wide as a head")
        }
        precondition(batch.slots.elementCount == qkv.shape.rowCount, "a slot for each token")
        // Safe: sizes are checked above and in `call`, slots by the kernel; the caller's tensors outlive the call.
        var call = unsafe call(qkv, heads, rotary, batch.positions)
        if let norms {
            unsafe call.query_weight = UnsafePointer(norms.queryWeight.floats)
            unsafe call.key_weight = UnsafePointer(norms.keyWeight.floats)
            unsafe call.epsilon = norms.epsilon
        }
        unsafe call.slots = UnsafePointer(batch.slots.integers)
        unsafe call.cache = cache.cache(heads)
        let stored = unsafe vireo_rotate_and_store(pool.handle, &call)
        precondition(stored, "positions are in the table and slots in the cache")
    }

    // The same in place, for queries and keys
    func rotate(qkv: Tensor, heads: HeadLayout, rotary: RotaryTable, positions: Tensor) {
        // Safe: sizes are checked in `call`; the caller's tensors outlive the call.
        var call = unsafe call(qkv, heads, rotary, positions)
        unsafe call.cache.heads = heads.keyValueHeads
        unsafe call.cache.head_dim = heads.headDim
        let turned = unsafe vireo_rotate_and_store(pool.handle, &call)
        precondition(turned, "positions are in the table")
    }

    /// What both have in common; sizes are checked.
    private func call(
        _ qkv: Tensor, _ heads: HeadLayout, _ rotary: RotaryTable, _ positions: Tensor,
    ) -> vireo_rotary_call {
        let tokenCount = qkv.shape.rowCount, half = rotary.cosines.shape.columnCount
        precondition(qkv.shape.columnCount == heads.columnCount, "qkv is [T, queries, keys and values]")
        precondition(
            rotary.cosines.shape == rotary.sines.shape && half > 0 && 2 * half <= heads.headDim,
            "the rotary table is [positions, R / 2], R values of a head or fewer")
        let axisCount = positions.elementCount / max(1, tokenCount)
        precondition(
            positions.elementCount == axisCount * tokenCount && (axisCount == 1 || rotary.axes != nil),
            "a position for each token and axis")
        // Safe: the pointers are used during the caller's call, whose tensors outlive it.
        var call = unsafe vireo_rotary_call()
        unsafe call.qkv = qkv.floats
        unsafe call.tokens = tokenCount
        unsafe call.heads = heads.heads
        unsafe call.cosines = UnsafePointer(rotary.cosines.floats)
        unsafe call.sines = UnsafePointer(rotary.sines.floats)
        unsafe call.table_rows = rotary.cosines.shape.rowCount
        unsafe call.half = half
        unsafe call.positions = UnsafePointer(positions.integers)
        unsafe call.axis_count = axisCount
        if let axes = rotary.axes {
            precondition(axes.elementCount == half, "an axis for each pair")
            unsafe call.axes = UnsafePointer(axes.integers)
        }
        return unsafe call
    }
}
