import CKernels
import Tensors

extension CPUOperators {
    // out[i] = x[i]·cos − x[i + D/2]·sin, out[i + D/2] = x[i + D/2]·cos + x[i]·sin
    func rotateAndStore(
        qkv: Tensor, heads: HeadLayout, rotary: RotaryTable, batch: AttentionBatch, cache: KVLayer
    ) {
        let tokenCount = qkv.shape.rowCount
        precondition(qkv.shape.columnCount == heads.columnCount, "qkv is [T, queries, keys and values]")
        precondition(
            heads.headDim.isMultiple(of: 2) && rotary.cosines.shape == rotary.sines.shape
                && rotary.cosines.shape.columnCount == heads.headDim / 2,
            "the rotary table is [positions, headDim / 2]")
        precondition(
            batch.positions.elementCount == tokenCount && batch.slots.elementCount == tokenCount,
            "a position and a slot for each token")
        // Safe: sizes are checked above, positions and slots by the kernel; the caller's tensors outlive the call.
        var call = unsafe vireo_rotary_call()
        unsafe call.qkv = qkv.floats
        unsafe call.tokens = tokenCount
        unsafe call.heads = heads.heads
        unsafe call.cosines = UnsafePointer(rotary.cosines.floats)
        unsafe call.sines = UnsafePointer(rotary.sines.floats)
        unsafe call.table_rows = rotary.cosines.shape.rowCount
        unsafe call.positions = UnsafePointer(batch.positions.integers)
        unsafe call.slots = UnsafePointer(batch.slots.integers)
        unsafe call.cache = cache.cache(heads)
        let stored = unsafe vireo_rotate_and_store(pool.handle, &call)
        precondition(stored, "positions are in the table and slots in the cache")
    }
}
