package import Images
package import Tensors

/// A loaded model: a text tower, and a vision tower where the checkpoint has one.
///
/// Forward passes are values in, tensors out: the model keeps weights only, so one instance serves every request.
package protocol VisionLanguageModel: Sendable {
    /// Shapes, limits and the rules for pictures, as the checkpoint's configuration gives them.
    var description: ModelDescription { get }

    /// The heads whose keys and values this rank of the model caches.
    var cacheHeads: HeadLayout { get }

    /// Embeds pictures for the text tower; the result, f32 [image tokens · planes, hidden], lies in `workspace`.
    ///
    /// A token's embeddings stand one after another, `planeCount` of the vision tower's shape.
    /// tiles is u8 [n, size, size, 3], tiles or patches as the vision tower's `cut` says, one picture after another.
    /// `grids` are the pictures' grids of image tokens, none where tiles go through the tower one by one.
    func encode(tiles: Tensor, grids: [TokenGrid], workspace: Workspace) throws(DeviceError) -> Tensor

    /// Runs the tokens of `batch` through the text tower, storing their keys and values.
    ///
    /// The result, in `workspace`, is f32 [R, vocabulary]: the logits at `batch.logitRows`, the same on all ranks.
    func forward(_ batch: Batch, workspace: Workspace) throws(DeviceError) -> Tensor
}

/// The inputs of one forward pass of T tokens.
package struct Batch: Sendable {
    /// i32 [T]: token ids; at an image token any id of the table; below zero, −1 − id is an index into `previous`.
    package let ids: Tensor
    /// i32: tokens chosen by an earlier step, which the host need not know yet.
    package let previous: Tensor
    /// i32 [T]: the row of `images` that replaces the token's embedding, or −1.
    package let imageRows: Tensor
    /// i32 [T] each: the row of `images` that is added to a token behind the first, second, … layer, or −1; none where
    /// no image token is in the pass.
    package let deepRows: [Tensor]
    /// f32 [rows, hidden]: embeddings of pictures.
    package let images: Tensor
    /// Where the tokens stand.
    package let attention: AttentionBatch
    /// i32 [R]: the tokens whose logits are wanted.
    package let logitRows: Tensor
    /// The cache, one entry a layer.
    package let cache: [KVLayer]

    /// Takes tensors that agree with one another.
    package init(
        ids: Tensor, previous: Tensor, imageRows: Tensor, deepRows: [Tensor] = [], images: Tensor,
        attention: AttentionBatch, logitRows: Tensor, cache: [KVLayer],
    ) {
        self.ids = ids
        self.previous = previous
        self.imageRows = imageRows
        self.deepRows = deepRows
        self.images = images
        self.attention = attention
        self.logitRows = logitRows
        self.cache = cache
    }
}
