/// Reads the chunks of a PNG (PNG third edition, 5.3 and 11.2).
enum PNGHeader {
    /// The size from IHDR and the orientation from eXIf, which may stand behind the pixels.
    static func read(_ reader: ByteReader) throws(ImageError) -> ImageLayout {
        guard reader.has(PartName.pngHeader, at: 12) else {
            throw reader.count < 16 ? .truncated(.png) : .corrupt(.png)
        }
        let width = try reader.big(16, size: 4)
        let height = try reader.big(20, size: 4)
        return ImageLayout(format: .png, width: width, height: height, orientation: orientation(reader))
    }

    /// Walks length, type, data and checksum of every chunk; a cut file is the decoder's to refuse.
    private static func orientation(_ reader: ByteReader) -> Orientation {
        var offset = 8
        while let length = try? reader.big(offset, size: 4),
            (try? reader.range(offset + 8, size: length)) != nil
        {
            let data = (offset + 8)..<(offset + 8 + length)
            if reader.has(PartName.pngExif, at: offset + 4) { return Orientation(exif: data, in: reader) }
            if reader.has(PartName.pngEnd, at: offset + 4) { break }
            offset = data.upperBound + 4
        }
        return .upright
    }
}
