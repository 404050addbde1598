/// A picture with what is to become of it.
package struct DecodedPicture: Sendable, Hashable {
    package let pixels: Pixels
    package let cut: PictureCut

    /// Takes both.
    package init(_ pixels: Pixels, _ cut: PictureCut) {
        self.pixels = pixels
        self.cut = cut
    }

    /// What the tower gets of it.
    package var tiles: ImageTiles { ImageTiles(pixels, cut) }
}
