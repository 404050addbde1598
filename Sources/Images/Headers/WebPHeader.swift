/// The one picture of a WebP file that is decoded, and its place on the canvas.
struct WebPFrame: Sendable, Hashable {
    /// Where its bytes are: the whole file, or the first frame of an animation.
    let bytes: Range<Int>
    /// Left edge on the canvas, in pixels.
    let x: Int
    /// Upper edge on the canvas, in pixels.
    let y: Int
    /// In pixels.
    let width: Int
    /// In pixels.
    let height: Int
    /// Whether the file says that it is transparent; otherwise an alpha channel is dropped.
    let hasAlpha: Bool
}

/// Reads the RIFF container of a WebP file and the start of its bitstreams (RFC 9649).
enum WebPHeader {
    /// The size from the first chunk; of an extended file also the orientation and the first frame.
    static func read(_ reader: ByteReader) throws(ImageError) -> ImageLayout {
        let riffSize = try reader.little(4, size: 4)
        let end = try reader.range(8, size: riffSize).upperBound
        if reader.has(PartName.webpExtended, at: 12) { return try readExtended(reader, end: end) }
        let size: (width: Int, height: Int)
        var hasAlpha = false
        if reader.has(PartName.webpLossy, at: 12) {
            guard try reader.big(23, size: 3) == 0x9d012a else { throw .corrupt(.webp) }
            size = (try reader.little(26, size: 2) & 0x3fff, try reader.little(28, size: 2) & 0x3fff)
        } else if reader.has(PartName.webpLossless, at: 12) {
            guard try reader.byte(20) == 0x2f else { throw .corrupt(.webp) }
            let bits = try reader.little(21, size: 4)
            size = ((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1)
            hasAlpha = bits >> 28 & 1 == 1
        } else {
            throw .corrupt(.webp)
        }
        let frame = WebPFrame(
            bytes: 0..<end, x: 0, y: 0, width: size.width, height: size.height, hasAlpha: hasAlpha)
        return ImageLayout(format: .webp, width: size.width, height: size.height, frame: frame)
    }

    /// Flags and canvas size of VP8X, then the chunks behind it.
    private static func readExtended(_ reader: ByteReader, end: Int) throws(ImageError) -> ImageLayout {
        let flags = try reader.byte(20)
        let (hasAlpha, hasExif, isAnimated) = (flags & 0x10 != 0, flags & 0x08 != 0, flags & 0x02 != 0)
        let width = try reader.little(24, size: 3) + 1
        let height = try reader.little(27, size: 3) + 1
        var frame: WebPFrame?
        if !isAnimated {
            frame = WebPFrame(bytes: 0..<end, x: 0, y: 0, width: width, height: height, hasAlpha: hasAlpha)
        }
        var orientation: Orientation?
        var offset = 12
        while offset + 8 <= end {
            let length = try reader.little(offset + 4, size: 4)
            let data = try reader.range(offset + 8, size: length)
            guard data.upperBound <= end else { throw .corrupt(.webp) }
            if frame == nil, reader.has(PartName.webpFrame, at: offset) {
                frame = try readFrame(reader, data, hasAlpha: hasAlpha, width: width, height: height)
            } else if hasExif, orientation == nil, reader.has(PartName.webpExif, at: offset) {
                orientation = Orientation(exif: data, in: reader)
            }
            if frame != nil, orientation != nil || !hasExif { break }
            offset = data.upperBound + length % 2
        }
        guard let frame else { throw .corrupt(.webp) }
        return ImageLayout(
            format: .webp, width: width, height: height, orientation: orientation ?? .upright, frame: frame)
    }

    /// Sixteen bytes of an ANMF chunk and the picture behind them.
    private static func readFrame(
        _ reader: ByteReader, _ data: Range<Int>, hasAlpha: Bool, width: Int, height: Int,
    ) throws(ImageError) -> WebPFrame {
        guard data.count > 16 else { throw .corrupt(.webp) }
        let start = data.lowerBound
        let frame = WebPFrame(
            bytes: (start + 16)..<data.upperBound,
            x: try reader.little(start, size: 3) * 2, y: try reader.little(start + 3, size: 3) * 2,
            width: try reader.little(start + 6, size: 3) + 1,
            height: try reader.little(start + 9, size: 3) + 1,
            hasAlpha: hasAlpha)
        guard frame.x + frame.width <= width, frame.y + frame.height <= height else { throw .corrupt(.webp) }
        return frame
    }
}
