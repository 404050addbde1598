/// Reads a GIF up to its first image descriptor (GIF89a specification, sections 17-25).
enum GIFHeader {
    /// The size of the screen, or of the first frame where that reaches further, as Pillow has it.
    static func read(_ reader: ByteReader) throws(ImageError) -> ImageLayout {
        let screen = (width: try reader.little(6, size: 2), height: try reader.little(8, size: 2))
        let flags = try reader.byte(10)
        var offset = 13 + (flags & 0x80 != 0 ? 3 << ((flags & 7) + 1) : 0)
        while true {
            switch try reader.byte(offset) {
            case 0x2c:
                let left = try reader.little(offset + 1, size: 2)
                let top = try reader.little(offset + 3, size: 2)
                let width = try reader.little(offset + 5, size: 2)
                let height = try reader.little(offset + 7, size: 2)
                guard width > 0, height > 0 else { throw .noPixels }
                return ImageLayout(
                    format: .gif, width: max(screen.width, left + width),
                    height: max(screen.height, top + height))
            case 0x21:
                offset += 2
                while true {
                    let length = try reader.byte(offset)
                    offset += 1 + length
                    if length == 0 { break }
                }
            default:
                throw .corrupt(.gif)
            }
        }
    }
}
