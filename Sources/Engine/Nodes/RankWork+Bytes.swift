import Images
import Nodes
import Scheduling
import Tensors

/// Work on its way to another node.
///
/// Only the first rank chooses tokens, so how is not among the bytes: a choice arrives as a greedy one.
extension RankWork {
    /// Its number in front of the bytes.
    private var code: UInt8 {
        switch self {
        case .rehearse: 0
        case .warmUp: 1
        case .encode: 2
        case .enqueue: 3
        case .collect: 4
        case .skip: 5
        case .load: 6
        }
    }

    /// All of it.
    var bytes: [UInt8] {
        var writer = ByteWriter()
        writer.write(code)
        switch self {
        case .rehearse, .warmUp, .collect, .skip: break
        case .encode(let pictures):
            writer.write(UInt32(pictures.count))
            for picture in pictures { picture.write(to: &writer) }
        case .load(let rows, let pages):
            writer.write(pages)
            writer.write(UInt32(rows.count))
            writer.write(raw: rows)
        case .enqueue(let sequences):
            writer.write(UInt32(sequences.count))
            for sequence in sequences { sequence.write(to: &writer) }
        }
        return writer.bytes
    }

    /// Throws for bytes that are no work; whether it can be done is for `WorkBounds` to say.
    init(_ bytes: [UInt8]) throws(LinkError) {
        var reader = ByteReader(bytes)
        switch try reader.read(UInt8.self) {
        case 0: self = .rehearse
        case 1: self = .warmUp
        case 2:
            self = .encode(
                try reader.readEach { (reader) throws(LinkError) in try PictureTiles(from: &reader) })
        case 3:
            self = .enqueue(
                try reader.readEach { (reader) throws(LinkError) in try .read(from: &reader) })
        case 4: self = .collect
        case 5: self = .skip
        case 6:
            let pages = try reader.readList(PageIndex.self), count = Int(try reader.read(UInt32.self))
            self = .load(try reader.take(count), pages: pages)
        default: throw .malformed
        }
        try reader.end()
    }
}

extension PictureTiles {
    fileprivate func write(to writer: inout ByteWriter) {
        writer.write(Int64(size))
        writer.write(Int64(grid?.rows ?? 0))
        writer.write(Int64(grid?.columns ?? 0))
        writer.write(pages)
        writer.write(UInt32(bytes.count))
        writer.write(raw: bytes)
    }

    fileprivate init(from reader: inout ByteReader) throws(LinkError) {
        let size = try reader.read(in: 1...65_536)
        let rows = try reader.read(in: 0...65_536), columns = try reader.read(in: 0...65_536)
        guard (rows == 0) == (columns == 0) else { throw .malformed }
        let pages = try reader.readList(PageIndex.self)
        let count = Int(try reader.read(UInt32.self))
        self.init(
            bytes: try reader.take(count), size: size,
            grid: rows > 0 ? TokenGrid(rows: rows, columns: columns) : nil, pages: pages)
    }
}

extension SequenceStep {
    fileprivate func write(to writer: inout ByteWriter) {
        writer.write(id.value)
        writer.write(Int64(start))
        writer.write(tokens)
        writer.write(imageRows)
        writer.write(pages)
        writer.write(UInt8(places == nil ? 0 : 1))
        if let places { writer.write(places.flatMap { [$0[0], $0[1], $0[2]] }) }
        writer.write(UInt8(choice == nil ? 0 : 1))
        writer.write(UInt8(scoring == nil ? 0 : 1))
        if let scoring {
            writer.write(scoring.places.map { Int64($0) })
            writer.write(scoring.ids)
            writer.write(Int64(scoring.topCount))
        }
    }

    fileprivate static func read(from reader: inout ByteReader) throws(LinkError) -> SequenceStep {
        let id = RequestID(try reader.read())
        let start = try reader.read(in: 0...Int(Int32.max))
        let tokens = try reader.readList(Int32.self)
        let imageRows = try reader.readList(Int32.self)
        let pages = try reader.readList(PageIndex.self)
        var places: [PlanePositions.Place]?
        if try reader.readFlag() {
            let axes = try reader.readList(Int32.self)
            guard axes.count.isMultiple(of: 3) else { throw .malformed }
            places = stride(from: 0, to: axes.count, by: 3).map {
                PlanePositions.Place(axes[$0], axes[$0 + 1], axes[$0 + 2])
            }
        }
        let choosesToken = try reader.readFlag()
        var scoring: PromptScoring?
        if try reader.readFlag() {
            let places = try reader.readList(Int64.self).map { Int(clamping: $0) }
            scoring = PromptScoring(
                places: places, ids: try reader.readList(), topCount: try reader.read(in: 0...1024))
        }
        let step = SequenceStep(
            id: id, tokens: tokens, start: start, places: places, imageRows: imageRows, pages: pages,
            choosesToken: choosesToken, scoring: scoring)
        guard let step else { throw .malformed }
        return step
    }
}

extension DeviceError {
    /// All of an error, or of its absence.
    static func bytes(of error: DeviceError?) -> [UInt8] {
        var writer = ByteWriter()
        switch error {
        case nil: writer.write(UInt8(0))
        case .outOfMemory(let requested):
            writer.write(UInt8(1))
            writer.write(Int64(requested))
        case .unsupportedConversion(let from, let to):
            writer.write(UInt8(2))
            writer.write(from.code)
            writer.write(to.code)
        case .failed(let reason):
            writer.write(UInt8(3))
            writer.write(text: reason)
        }
        return writer.bytes
    }

    /// What `bytes(of:)` wrote; throws for all else.
    static func read(_ bytes: [UInt8]) throws(LinkError) -> DeviceError? {
        var reader = ByteReader(bytes)
        var error: DeviceError?
        switch try reader.read(UInt8.self) {
        case 0: break
        case 1: error = .outOfMemory(requested: try reader.read(in: 0...Int.max))
        case 2:
            guard let from = ElementType(code: try reader.read()),
                let to = ElementType(code: try reader.read())
            else { throw .malformed }
            error = .unsupportedConversion(from: from, to: to)
        case 3: error = .failed(try reader.readText())
        default: throw .malformed
        }
        try reader.end()
        return error
    }
}
