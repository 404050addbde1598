/// Turns the bytes of a picture, as a client sent them, into pixels, tiles and keys.
///
/// The order of use, cheapest first, so that a hostile picture is refused before it costs anything:
/// `DataURL` or `Base64` → `ImageFile.readHeader` (size and limits, nothing allocated) → `TilingPlan` (token counts)
/// → `ContentKey` (cache) → `ImageDecoder` (pixels) → `ImageTiles` (model input).
///
/// Formats: JPEG, PNG, WebP and GIF (of animations the first frame). The bytes decide which, never a name or a type
/// the client gave. Decoding, compositing and resizing give the bytes of Pillow 13, which the models were trained with.

/// Decodes a picture of any supported format to RGB8: turned upright by its EXIF orientation, transparency on white.
///
/// A protocol, so that the work can move to another process without a change to its callers.
package protocol ImageDecoder: Sendable {
    /// Decodes `bytes` when header and limits allow it.
    func decode(_ bytes: [UInt8], limits: ImageLimits) throws(ImageError) -> Pixels
}

/// Decodes in this process, with the libraries linked into it.
package struct LibraryImageDecoder: ImageDecoder {
    /// A decoder without state.
    package init() {}

    package func decode(_ bytes: [UInt8], limits: ImageLimits) throws(ImageError) -> Pixels {
        let layout = try ImageFile.readLayout(of: bytes, limits: limits)
        return try NativeImageCode.decode(bytes, layout: layout)
    }
}
