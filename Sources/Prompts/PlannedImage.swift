package import Images
package import Scheduling

/// A picture whose header is read and whose tokens are counted; decoded only when its embeddings are not cached.
package struct PlannedImage: Sendable {
    /// The picture's embeddings.
    package let key: ImageKey
    /// How many image tokens it becomes.
    package let tokenCount: Int
    /// Image tokens beside one another; nil where they have no places in two dimensions.
    package let columns: Int?
    /// What stands for it in a prompt whose image tokens are not all together: text with one mark of them for each run, which
    /// are of one length.
    package let frame: String?
    /// Decodes, resizes and cuts the picture.
    package let tiles: @Sendable () throws(ImageError) -> ImageTiles

    /// Takes what a planner found.
    package init(
        key: ImageKey, tokenCount: Int, columns: Int? = nil, frame: String? = nil,
        tiles: @escaping @Sendable () throws(ImageError) -> ImageTiles,
    ) {
        self.key = key
        self.tokenCount = tokenCount
        self.columns = columns
        self.frame = frame
        self.tiles = tiles
    }
}
