/// What a header says: the format and the size of the upright picture.
package struct ImageHeader: Sendable, Hashable {
    /// Found by the first bytes.
    package let format: ImageFormat
    /// In pixels, after the EXIF orientation.
    package let width: Int
    /// In pixels, after the EXIF orientation.
    package let height: Int
}

/// Where the decoder finds what: the stored size, how to turn it, and for WebP the one frame to decode.
struct ImageLayout: Sendable, Hashable {
    let format: ImageFormat
    /// In pixels, as stored.
    let width: Int
    /// In pixels, as stored.
    let height: Int
    var orientation = Orientation.upright
    /// Of a WebP file, the picture to lay on the canvas.
    var frame: WebPFrame?

    /// The header as seen from outside.
    var header: ImageHeader {
        orientation.swapsSides
            ? ImageHeader(format: format, width: height, height: width)
            : ImageHeader(format: format, width: width, height: height)
    }
}

/// Reads encoded pictures without decoding them.
package enum ImageFile {
    /// The format and size of a picture within `limits`; walks the container only and allocates nothing of its size.
    package static func readHeader(
        of bytes: [UInt8], limits: ImageLimits = ImageLimits(),
    ) throws(ImageError) -> ImageHeader {
        try readLayout(of: bytes, limits: limits).header
    }

    /// The same with what the decoder needs.
    static func readLayout(of bytes: [UInt8], limits: ImageLimits) throws(ImageError) -> ImageLayout {
        try limits.check(byteCount: bytes.count)
        guard let format = ImageFormat(sniffing: bytes) else { throw .unsupportedFormat }
        let reader = ByteReader(bytes: bytes, format: format)
        let layout =
            switch format {
            case .jpeg: try JPEGHeader.read(reader)
            case .png: try PNGHeader.read(reader)
            case .webp: try WebPHeader.read(reader)
            case .gif: try GIFHeader.read(reader)
            }
        try limits.check(width: layout.width, height: layout.height)
        return layout
    }
}
