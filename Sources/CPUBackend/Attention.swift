import CKernels
import Tensors

extension CPUOperators {
    // out[t] = Σⱼ softmaxⱼ(scale · q[t] · k[j]) · v[j], j over the positions that the token sees
    func pagedAttention(
        qkv: Tensor, heads: HeadLayout, scale: Float, window: Int?, batch: AttentionBatch, cache: KVLayer,
        out: Tensor,
    ) {
        precondition(window.map { $0 > 0 } ?? true, "a window holds the token itself")
        precondition(batch.sights.map { $0.elementCount == qkv.shape.rowCount } ?? true, "sights are [T]")
        let tokenCount = qkv.shape.rowCount, sequenceCount = batch.sequenceCount
        precondition(qkv.shape.columnCount == heads.columnCount, "qkv is [T, queries, keys and values]")
        precondition(
            out.elementCount == tokenCount * heads.heads * heads.headDim, "out is [T, heads · headDim]")
        precondition(
            batch.queryStarts.elementCount == sequenceCount + 1
                && batch.contextLengths.elementCount == sequenceCount
                && batch.pageTable.elementCount == batch.pageTable.shape.columnCount * sequenceCount,
            "starts, lengths and pages for each sequence")
        // Safe: sizes are checked above, lengths and pages by the kernel; the caller's tensors outlive the call.
        var call = unsafe vireo_paged_attention_call()
        unsafe call.qkv = UnsafePointer(qkv.floats)
        unsafe call.heads = heads.heads
        unsafe call.tokens = tokenCount
        unsafe call.sequences = sequenceCount
        unsafe call.pages_per_sequence = batch.pageTable.shape.columnCount
        unsafe call.scale = scale
        unsafe call.query_starts = UnsafePointer(batch.queryStarts.integers)
        unsafe call.context_lengths = UnsafePointer(batch.contextLengths.integers)
        unsafe call.page_table = UnsafePointer(batch.pageTable.integers)
        if let sights = batch.sights { unsafe call.sights = UnsafePointer(sights.integers) }
        unsafe call.window = window ?? 0
        unsafe call.cache = cache.cache(heads)
        unsafe call.out = out.floats
        let attended = unsafe vireo_paged_attention(pool.handle, &call)
        precondition(attended, "each context has its queries, its pages and what they see")
    }

    // out[t] = Σⱼ softmaxⱼ(scale · q[t] · k[j]) · v[j], j over the tokens of t's sequence
    func fullAttention(
        qkv: Tensor, sequences: PackedSequences, heads: Int, headDim: Int, scale: Float, out: Tensor,
    ) {
        let width = heads * headDim
        precondition(qkv.shape.columnCount == 3 * width, "qkv is [T, 3 · heads · headDim]")
        precondition(out.elementCount == qkv.shape.rowCount * width, "out is [T, heads · headDim]")
        // Safe: sizes are checked above, the starts by the kernel; the caller's tensors outlive the call.
        var call = unsafe vireo_full_attention_call()
        unsafe call.qkv = UnsafePointer(qkv.floats)
        unsafe call.tokens = qkv.shape.rowCount
        unsafe call.sequences = sequences.count
        unsafe call.length = sequences.longest
        if let starts = sequences.starts { unsafe call.starts = UnsafePointer(starts.integers) }
        unsafe call.heads = heads
        unsafe call.head_dim = headDim
        unsafe call.scale = scale
        unsafe call.type = exact ? vireo_type_f32 : vireo_type_bf16
        unsafe call.out = out.floats
        let attended = unsafe vireo_full_attention(pool.handle, &call)
        precondition(attended, "the sequences are all rows, and there is memory for the scores")
    }
}
