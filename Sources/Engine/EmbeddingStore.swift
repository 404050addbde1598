/// Where replicas of a server leave embeddings for one another.
///
/// It may be slow, full, wrong or away: then it has nothing and takes nothing. Thread-safe.
package protocol EmbeddingStore: Sendable {
    /// What lies under `key` if it has `byteCount` bytes, else perhaps something else or nil.
    ///
    /// Blocks, but not for long; never called on the engine's thread.
    func value(of key: [UInt8], byteCount: Int) -> [UInt8]?
    /// Leaves `value` under `key`, over what lies there; answers whether that is certain. Blocks, but not for long.
    func keep(_ value: [UInt8], under key: [UInt8]) -> Bool
    /// How it is doing.
    var health: EmbeddingStoreHealth { get }
    /// Ends what is under way; later calls find nothing.
    func close()
}

/// How a store is doing.
package struct EmbeddingStoreHealth: Sendable, Hashable {
    /// Commands that failed so far, or were not answered in time.
    package var errors = 0
    /// Whether nothing is asked of it for a while, as it failed several times in a row.
    package var isReadingPaused = false
    /// The same for what is left there.
    package var isWritingPaused = false

    /// All well.
    package init() {}
}

/// What came of sharing embeddings.
package struct SharedImageStatistics: Sendable, Hashable {
    /// Pictures whose embeddings were found.
    package var hits = 0
    /// Pictures whose embeddings were asked for and not found, the unsound among them.
    package var misses = 0
    /// Values that were no embeddings of the picture, or were damaged.
    package var unsound = 0
    /// Pictures left for others.
    package var puts = 0
    /// Pictures that could not be: too many at once, or the store refused.
    package var droppedPuts = 0
    package var health = EmbeddingStoreHealth()

    /// All zero.
    package init() {}
}
