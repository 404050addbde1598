/// Checked reads of numbers at an offset of an encoded picture; a read past the end throws `truncated`.
struct ByteReader {
    let bytes: [UInt8]
    let format: ImageFormat

    /// How many bytes there are.
    var count: Int { bytes.count }

    /// The byte at `offset`.
    func byte(_ offset: Int) throws(ImageError) -> Int {
        guard bytes.indices.contains(offset) else { throw .truncated(format) }
        return Int(bytes[offset])
    }

    /// `size` bytes from `offset` as a number, the most significant first; `size` is at most 4.
    func big(_ offset: Int, size: Int) throws(ImageError) -> Int {
        let start = try range(offset, size: size).lowerBound
        // Safe: at most four bytes, so the number is below 2³².
        return (0..<size).reduce(0) { $0 << 8 | Int(bytes[start + $1]) }
    }

    /// The same with the least significant byte first.
    func little(_ offset: Int, size: Int) throws(ImageError) -> Int {
        let start = try range(offset, size: size).lowerBound
        // Safe: at most four bytes, so the number is below 2³².
        return (0..<size).reduce(0) { $0 | Int(bytes[start + $1]) << (8 * $1) }
    }

    /// The range of `size` bytes at `offset`, when the file has them.
    func range(_ offset: Int, size: Int) throws(ImageError) -> Range<Int> {
        guard offset >= 0, size >= 0, offset <= count, size <= count - offset else {
            throw .truncated(format)
        }
        return offset..<(offset + size)
    }

    /// Where the first byte from `offset` on is that passes `test`.
    func firstOffset(from offset: Int, where test: (UInt8) -> Bool) throws(ImageError) -> Int {
        var index = offset
        while index < count {
            if test(bytes[index]) { return index }
            index += 1
        }
        throw .truncated(format)
    }

    /// Whether the bytes at `offset` are `wanted`; false past the end.
    func has(_ wanted: [UInt8], at offset: Int) -> Bool {
        guard offset >= 0, offset <= count, wanted.count <= count - offset else { return false }
        for index in wanted.indices where bytes[offset + index] != wanted[index] { return false }
        return true
    }
}

/// The names that containers give their parts, as bytes.
enum PartName {
    /// Begins a JPEG segment with EXIF, and sometimes a block of it elsewhere.
    static let exifPrefix = Array("Exif\0\0".utf8)
    static let littleEndianTIFF = Array("II*\0".utf8)
    static let bigEndianTIFF = Array("MM\0*".utf8)
    static let pngHeader = Array("IHDR".utf8)
    static let pngExif = Array("eXIf".utf8)
    static let pngEnd = Array("IEND".utf8)
    static let riff = Array("RIFF".utf8)
    static let webp = Array("WEBP".utf8)
    static let webpExtended = Array("VP8X".utf8)
    static let webpLossy = Array("VP8 ".utf8)
    static let webpLossless = Array("VP8L".utf8)
    static let webpFrame = Array("ANMF".utf8)
    static let webpExif = Array("EXIF".utf8)
}
