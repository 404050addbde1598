import CPUBackend
import Checkpoints
import Images
import Tensors
import TestRandom
import TestSupport

@testable import Models

/// Runs sequences through a model over a small paged cache whose pages are in no order.
final class PagedDriver {
    static let pageSize = 4
    /// The token that stands for a row of a picture.
    var imageTokenID: Int32 = 692
    /// Where the token at an index stands, on one axis or three.
    var places: (Int) -> [Int32] = { [Int32($0)] }

    /// A sequence in the cache.
    final class Sequence {
        fileprivate(set) var pages: [Int32] = []
        fileprivate(set) var length = 0
        fileprivate var nextImageRow: Int32 = 0
        /// f32 [rows, hidden].
        let images: Tensor

        init(images: Tensor) { self.images = images }
    }

    let model: any VisionLanguageModel
    let device: any Device
    private let workspace: Workspace
    private let cache: [KVLayer]
    private var freePages: [Int32]

    init(_ model: any VisionLanguageModel, device: any Device, elementType: ElementType) throws {
        self.model = model
        self.device = device
        workspace = try Workspace(device: device, byteCount: 1 << 20)
        let text = model.description.text
        let pageCount = 256
        cache = try (0..<text.layerCount).map { _ in
            let shape: Shape = [pageCount, text.heads.keyValueHeads, Self.pageSize, text.heads.headDim]
            return KVLayer(
                keys: try device.makeTensor(shape, elementType),
                values: try device.makeTensor(shape, elementType))
        }
        var generator = SeededRandom(seed: 7)
        freePages = (0..<Int32(pageCount)).shuffled(using: &generator)
    }

    /// A sequence that shows `pictures`, none of them for text alone.
    func sequence(showing pictures: [ImageTiles]) throws -> Sequence {
        guard let size = pictures.first?.tileSize else {
            return Sequence(images: try device.makeTensor([1, model.description.text.hiddenSize], .f32))
        }
        return Sequence(
            images: try encode(
                pictures.flatMap(\.bytes), count: pictures.reduce(0) { $0 + $1.tileCount }, side: size,
                grids: pictures.compactMap(\.grid)))
    }

    /// The logits behind `prompt`, taken in chunks, and the `count` greedy tokens that follow; the sequence is given back.
    func answer(
        _ sequence: Sequence, to prompt: [Int32], inChunksOf chunk: Int, count: Int,
    ) throws -> (logits: [Float], tokens: [Int32]) {
        var logits: [Float] = [], rest = prompt[...]
        while !rest.isEmpty {
            logits = try extend(sequence, by: Array(rest.prefix(chunk)))
            rest = rest.dropFirst(chunk)
        }
        let first = logits
        var chosen: [Int32] = []
        for _ in 0..<count {
            chosen.append(likeliest(1, of: logits)[0])
            logits = try extend(sequence, by: [chosen[chosen.count - 1]])
        }
        release(sequence)
        return (first, chosen)
    }

    /// The embeddings of `tiles` [n, side, side, 3] as a tensor of its own.
    func encode(_ tiles: [UInt8], count: Int, side: Int, grids: [TokenGrid] = []) throws -> Tensor {
        let input = try device.makeTensor([count, side, side, 3], .u8)
        device.write(tiles, to: input)
        workspace.reset()
        let embeddings = try model.encode(tiles: input, grids: grids, workspace: workspace)
        let copy = try device.makeTensor(embeddings.shape, .f32)
        device.write(try device.readFloats(embeddings), to: copy)
        return copy
    }

    /// An empty sequence with the pictures of `golden`.
    func sequence(for golden: GoldenCase) throws -> Sequence {
        guard let strip = try golden.tiles() else {
            return Sequence(images: try device.makeTensor([1, model.description.text.hiddenSize], .f32))
        }
        let side = strip.width
        return Sequence(images: try encode(strip.bytes, count: strip.height / side, side: side))
    }

    /// Appends `ids` to `sequence`; the logits after the last.
    func extend(_ sequence: Sequence, by ids: [Int32]) throws -> [Float] {
        try extend([(sequence, ids)])[0]
    }

    /// Appends to several sequences in one pass; the logits after the last token of each.
    ///
    /// Only one may have pictures.
    func extend(_ parts: [(sequence: Sequence, ids: [Int32])]) throws -> [[Float]] {
        var ids: [Int32] = []
        var (slots, imageRows, starts) = ([Int32](), [Int32](), [Int32(0)])
        var positions: [[Int32]] = []
        for (sequence, tokens) in parts {
            for id in tokens {
                let position = sequence.length
                if position % Self.pageSize == 0 { sequence.pages.append(freePages.removeLast()) }
                positions.append(places(position))
                slots.append(sequence.pages[position / Self.pageSize] * 4 + Int32(position % Self.pageSize))
                imageRows.append(id == imageTokenID ? sequence.nextImageRow : -1)
                if id == imageTokenID { sequence.nextImageRow += 1 }
                sequence.length += 1
            }
            ids += tokens
            starts.append(Int32(ids.count))
        }
        let lengths = parts.map { Int32($0.sequence.length) }
        let seesOn = model.description.vision?.seesWholePictures ?? false
        let sights = seesOn ? try indices(Self.sights(parts, imageTokenID)) : nil
        let width = parts.map(\.sequence.pages.count).max() ?? 0
        let table = parts.flatMap { part in
            part.sequence.pages + Array(repeating: 0, count: width - part.sequence.pages.count)
        }
        let attention = AttentionBatch(
            positions: try indices(positions[0].indices.flatMap { axis in positions.map { $0[axis] } }),
            slots: try indices(slots), queryStarts: try indices(starts),
            contextLengths: try indices(lengths),
            pageTable: try indices(table).reshaped([parts.count, width]), sights: sights,
            sequenceCount: parts.count, maxQueryCount: parts.map(\.ids.count).max() ?? 0,
            maxContextLength: parts.map(\.sequence.length).max() ?? 0)
        let pictured = parts.first { $0.sequence.nextImageRow > 0 }?.sequence ?? parts[0].sequence
        let planes = model.description.vision?.planeCount ?? 1
        let rows = try (0..<planes).map { plane in
            try indices(imageRows.map { $0 < 0 ? -1 : $0 * Int32(planes) + Int32(plane) })
        }
        let hasImages = imageRows.contains { $0 >= 0 }
        let batch = Batch(
            ids: try indices(ids), previous: try indices([0]), imageRows: rows[0],
            deepRows: hasImages ? Array(rows.dropFirst()) : [], images: pictured.images,
            attention: attention,
            logitRows: try indices(starts.dropFirst().map { $0 - 1 }), cache: cache)
        workspace.reset()
        let logits = try device.readFloats(try model.forward(batch, workspace: workspace))
        let vocabulary = model.description.text.vocabularyCount
        return (0..<parts.count).map { Array(logits[($0 * vocabulary)..<(($0 + 1) * vocabulary)]) }
    }

    /// Up to where each token sees its sequence, whose `length` counts it already: image tokens in a row see the last.
    private static func sights(
        _ parts: [(sequence: Sequence, ids: [Int32])], _ imageTokenID: Int32,
    ) -> [Int32] {
        parts.flatMap { sequence, ids in
            let start = sequence.length - ids.count
            return ids.indices.map { index in
                var end = index
                while ids[index] == imageTokenID, end + 1 < ids.count, ids[end + 1] == imageTokenID {
                    end += 1
                }
                return Int32(start + end + 1)
            }
        }
    }

    /// Forgets `sequence`.
    func release(_ sequence: Sequence) { freePages += sequence.pages }

    private func indices(_ values: [Int32]) throws -> Tensor {
        let tensor = try device.makeTensor([values.count], .i32)
        device.write(values, to: tensor)
        return tensor
    }
}

/// A model of the fixtures on the CPU.
enum FixtureModel {
    static func driver(
        _ name: String, as elementType: ElementType, textFormat: WeightFormat? = nil,
    ) throws -> PagedDriver {
        let description = try ModelFamilies.describe(Fixtures.folder(name))
        return try driver(name, description, as: elementType, textFormat: textFormat)
    }

    static func driver(
        _ name: String, _ description: ModelDescription, as elementType: ElementType,
        textFormat: WeightFormat? = nil,
    ) throws -> PagedDriver {
        let device = CPUDevice(threadCount: 2, exact: elementType == .f32)
        let model = try ModelFamilies.load(
            folder: Fixtures.folder(name), description: description, device: device, elementType: elementType,
            textFormat: textFormat, loaderThreads: 3)
        return try PagedDriver(model, device: device, elementType: elementType)
    }
}

/// The likeliest ids, best first.
func likeliest(_ count: Int, of logits: [Float]) -> [Int32] {
    logits.indices.sorted { logits[$0] > logits[$1] }.prefix(count).map { Int32($0) }
}
