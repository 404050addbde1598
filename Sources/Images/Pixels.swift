/// A decoded picture: 8 bits each of red, green and blue.
package struct Pixels: Sendable, Hashable {
    /// In pixels, above zero.
    package let width: Int
    /// In pixels, above zero.
    package let height: Int
    /// Row by row, [height, width, 3].
    package let bytes: [UInt8]

    /// Takes bytes of the size that width and height ask for.
    package init(width: Int, height: Int, bytes: [UInt8]) {
        precondition(
            width > 0 && height > 0 && bytes.count == width * height * 3, "bytes are [height, width, 3]")
        self.width = width
        self.height = height
        self.bytes = bytes
    }
}
