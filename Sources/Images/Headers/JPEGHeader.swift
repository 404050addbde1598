/// Reads the markers of a JPEG up to its first scan (ITU-T T.81, annex B).
enum JPEGHeader {
    /// The size from the frame header and the orientation from the first EXIF segment.
    static func read(_ reader: ByteReader) throws(ImageError) -> ImageLayout {
        var size: (width: Int, height: Int)?
        var orientation: Orientation?
        var offset = 2
        while true {
            let marker = try nextMarker(reader, &offset)
            switch marker {
            case 0x01, 0xd0...0xd7:
                continue  // these stand alone
            case 0xd8, 0xd9:
                throw .corrupt(.jpeg)
            case 0xda:
                guard let size else { throw .corrupt(.jpeg) }
                return ImageLayout(
                    format: .jpeg, width: size.width, height: size.height,
                    orientation: orientation ?? .upright)
            default:
                let length = try reader.big(offset, size: 2)
                guard length >= 2 else { throw .corrupt(.jpeg) }
                let segment = try reader.range(offset, size: length)
                if isFrame(marker) {
                    guard size == nil else { throw .corrupt(.jpeg) }
                    size = try readFrame(reader, segment, marker)
                } else if marker == 0xe1, orientation == nil, reader.has(PartName.exifPrefix, at: offset + 2)
                {
                    orientation = Orientation(exif: (offset + 2)..<segment.upperBound, in: reader)
                }
                offset = segment.upperBound
            }
        }
    }

    /// The next marker's code, `offset` moving behind it; bytes between segments are skipped.
    private static func nextMarker(_ reader: ByteReader, _ offset: inout Int) throws(ImageError) -> Int {
        while true {
            offset = try reader.firstOffset(from: offset) { $0 == 0xff }
            offset = try reader.firstOffset(from: offset) { $0 != 0xff }
            let code = try reader.byte(offset)
            offset += 1
            if code != 0 { return code }
        }
    }

    private static func isFrame(_ marker: Int) -> Bool {
        0xc0...0xcf ~= marker && marker != 0xc4 && marker != 0xc8 && marker != 0xcc
    }

    /// Length, precision, height, width and components of a frame header.
    private static func readFrame(
        _ reader: ByteReader, _ segment: Range<Int>, _ marker: Int,
    ) throws(ImageError) -> (width: Int, height: Int) {
        // Baseline, extended and progressive, by Huffman or arithmetic codes.
        guard [0xc0, 0xc1, 0xc2, 0xc9, 0xca].contains(marker) else { throw .unsupportedVariant(.jpeg) }
        guard segment.count >= 8 else { throw .corrupt(.jpeg) }
        let start = segment.lowerBound
        guard try reader.byte(start + 2) == 8 else { throw .unsupportedVariant(.jpeg) }
        guard [1, 3, 4].contains(try reader.byte(start + 7)) else { throw .unsupportedVariant(.jpeg) }
        return (width: try reader.big(start + 5, size: 2), height: try reader.big(start + 3, size: 2))
    }
}
