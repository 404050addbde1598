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
    /// Decodes the picture and says how it is cut.
    package let picture: @Sendable () throws(ImageError) -> DecodedPicture

    /// Takes what a planner found.
    package init(
        key: ImageKey, tokenCount: Int, columns: Int? = nil, frame: String? = nil,
        picture: @escaping @Sendable () throws(ImageError) -> DecodedPicture,
    ) {
        self.key = key
        self.tokenCount = tokenCount
        self.columns = columns
        self.frame = frame
        self.picture = picture
    }
}
