package import Tensors

/// How large an engine is; zero or nil where it may decide by itself.
package struct EngineConfiguration: Sendable {
    /// The type of the cache: the type the weights are computed in.
    package var elementType: ElementType
    /// The longest sequence; nil for what the model takes.
    package var maxSequenceLength: Int?
    /// The part of the device's free memory that stores may take, above 0 and at most 1.
    package var memoryFraction = 0.8
    /// Tokens of keys and values to hold; nil for what the memory gives.
    package var cachedTokens: Int?
    /// The most requests that run at once.
    package var runningRequests = 256
    /// The most requests that wait.
    package var queuedRequests = 256
    /// The most tokens of a step; nil for what the device prefers.
    package var tokensPerStep: Int?
    /// The most tokens of one prompt in a step; nil for half of the tokens of a step.
    package var chunkSize: Int?
    /// The most pictures whose embeddings are kept.
    package var imageCapacity = 200
    /// The most bytes of embeddings that are kept.
    package var imageCacheBytes = 4 << 30
    /// The most tiles that go through the tower at once; nil for what the device prefers.
    package var tilesPerStep: Int?
    /// The most pictures that are decoded at once.
    package var decoders = 2
    /// Whether keys and values are kept for prompts that begin alike.
    package var keepsPrefixes = true
    /// Tokens of a page of keys and values.
    package var pageSize = 16
    /// Where replicas share embeddings; nil where they do not.
    ///
    /// The keys of pictures must then name the model by what it is, not by where it lies.
    package var embeddingStore: (any EmbeddingStore)?

    /// The defaults, for a cache of `elementType`.
    package init(elementType: ElementType) { self.elementType = elementType }
}
