import CKernels
import Tensors

extension CPUOperators {
    // n = norms ? x / √(mean x² + ε) · weight : x
    // out[i] = n[i]·cos − n[i + R/2]·sin, out[i + R/2] = n[i + R/2]·cos + n[i]·sin, out[R...] = n[R...]
    func rotateAndStore(
        qkv: Tensor, heads: HeadLayout, norms: HeadNorms?, rotary: RotaryTable, batch: AttentionBatch,
        cache: KVLayer,
    ) {
        let tokenCount = qkv.shape.rowCount
        precondition(qkv.shape.columnCount == heads.columnCount, "qkv is [T, queries, keys and values]")
        let half = rotary.cosines.shape.columnCount
        precondition(
            rotary.cosines.shape == rotary.sines.shape && half > 0 && 2 * half <= heads.headDim,
            "the rotary table is [positions, R / 2], R values of a head or fewer")
        for weight in [norms?.queryWeight, norms?.keyWeight] {
            precondition(weight?.elementCount ?? heads.headDim == heads.headDim, "norms as wide as a head")
        }
        precondition(
            batch.positions.elementCount == tokenCount && batch.slots.elementCount == tokenCount,
            "a position and a slot for each token")
        // Safe: sizes are checked above, positions and slots by the kernel; the caller's tensors outlive the call.
        var call = unsafe vireo_rotary_call()
        unsafe call.qkv = qkv.floats
        unsafe call.tokens = tokenCount
        unsafe call.heads = heads.heads
        if let norms {
            unsafe call.query_weight = UnsafePointer(norms.queryWeight.floats)
            unsafe call.key_weight = UnsafePointer(norms.keyWeight.floats)
            unsafe call.epsilon = norms.epsilon
        }
        unsafe call.cosines = UnsafePointer(rotary.cosines.floats)
        unsafe call.sines = UnsafePointer(rotary.sines.floats)
        unsafe call.table_rows = rotary.cosines.shape.rowCount
        unsafe call.half = half
        unsafe call.positions = UnsafePointer(batch.positions.integers)
        unsafe call.slots = UnsafePointer(batch.slots.integers)
        unsafe call.cache = cache.cache(heads)
        let stored = unsafe vireo_rotate_and_store(pool.handle, &call)
        precondition(stored, "positions are in the table and slots in the cache")
    }
}
