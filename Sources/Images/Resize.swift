/// How an output pixel weighs the input round it.
package enum ResizeFilter: String, Sendable, Hashable, CaseIterable {
    /// A triangle of one pixel to each side.
    case bilinear
    /// Keys' cubic with a = −0.5, two pixels to each side.
    case bicubic
    /// A windowed sinc, three pixels to each side.
    case lanczos
}

/// Resizes to `width` × `height` (above zero), giving the bytes of Pillow 13's `Image.resize`.
///
/// Enlarged filters when shrinking, weights rounded to 2⁻²², 8 bits between the passes. Rows are shrunk before columns
/// unless the height shrinks by more than twice what the width does.
package func resize(_ pixels: Pixels, toWidth width: Int, height: Int, filter: ResizeFilter) -> Pixels {
    precondition(width > 0 && height > 0, "a picture is resized to at least one pixel")
    return NativeImageCode.resize(pixels, toWidth: width, height: height, filter: filter)
}
