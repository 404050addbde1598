/// What one render may use; templates come with checkpoints and are not trusted.
package struct RenderLimits: Sendable {
    /// Expressions, statements and loop passes, and a share for every piece of text or list that is made.
    package var maxSteps: Int
    /// Bytes of the result, and of any one string made on the way to it.
    package var maxOutputBytes: Int
    /// Macro calls inside each other, and lists and dicts inside each other.
    package var maxDepth: Int

    /// Limits that the published chat templates stay far below.
    package init(maxSteps: Int = 1_000_000, maxOutputBytes: Int = 4 << 20, maxDepth: Int = 100) {
        self.maxSteps = maxSteps
        self.maxOutputBytes = maxOutputBytes
        self.maxDepth = maxDepth
    }
}
