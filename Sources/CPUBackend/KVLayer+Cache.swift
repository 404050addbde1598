import CKernels
import Tensors

extension KVLayer {
    /// The kernels' view of the layer; its head count and width must be those of `heads`.
    // Safe: the layer's tensors outlive the call this is passed to.
    func cache(_ heads: HeadLayout) -> vireo_cache {
        precondition(
            keys.shape.rank == 4 && keys.shape == values.shape && keys.elementType == values.elementType
                && keys.shape[1] == heads.keyValueHeads && keys.shape[3] == heads.headDim,
            "keys and values are [pages, keyValueHeads, pageSize, headDim]")
        var cache = unsafe vireo_cache()
        unsafe cache.keys = keys.bytes
        unsafe cache.values = values.bytes
        unsafe cache.type = keys.computingType
        unsafe cache.pages = keys.shape[0]
        unsafe cache.heads = heads.keyValueHeads
        unsafe cache.page_size = pageSize
        unsafe cache.head_dim = heads.headDim
        return unsafe cache
    }
}
