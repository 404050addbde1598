/// How a stored picture is turned to stand upright; the numbers are those of EXIF tag 0x0112 (Exif 2.32, 4.6.4).
enum Orientation: Int, Sendable, Hashable {
    case upright = 1
    case mirrored = 2
    case halfTurn = 3
    case upsideDownMirrored = 4
    case transposed = 5
    case clockwise = 6
    case transposedOverOtherDiagonal = 7
    case anticlockwise = 8

    /// Whether width and height change places.
    var swapsSides: Bool { rawValue >= 5 }

    /// Reads the tag from a block of EXIF: `Exif\0\0` (or not), a TIFF header, entries of the first directory.
    ///
    /// A block that makes no sense leaves the picture as stored, as Pillow does; of repeated tags the first one counts.
    init(exif range: Range<Int>, in reader: ByteReader) {
        self = (try? Self.read(range, in: reader)) ?? .upright
    }

    private static func read(_ range: Range<Int>, in reader: ByteReader) throws(ImageError) -> Orientation {
        let block = ByteReader(bytes: Array(reader.bytes[range]), format: reader.format)
        var start = 0
        while block.has(PartName.exifPrefix, at: start) { start += 6 }
        let isLittle = block.has(PartName.littleEndianTIFF, at: start)
        guard isLittle || block.has(PartName.bigEndianTIFF, at: start) else { return .upright }
        func number(_ offset: Int, size: Int) throws(ImageError) -> Int {
            isLittle ? try block.little(offset, size: size) : try block.big(offset, size: size)
        }
        let directory = try start + number(start + 4, size: 4)
        let entryCount = try number(directory, size: 2)
        for index in 0..<entryCount {
            // Safe: a 32-bit offset and at most 2¹⁶ entries.
            let entry = directory + 2 + 12 * index
            guard entry + 12 <= block.count else { break }
            guard try number(entry, size: 2) == 0x0112 else { continue }
            // One number, as short or long.
            guard let size = [3: 2, 4: 4][try number(entry + 2, size: 2)], try number(entry + 4, size: 4) == 1
            else { break }
            return Orientation(rawValue: try number(entry + 8, size: size)) ?? .upright
        }
        return .upright
    }
}
