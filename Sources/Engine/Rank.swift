import Models
import Scheduling
import Tensors

/// One device with the model on it: runs the tensors of a step.
///
/// Belongs to the engine's thread.
final class Rank {
    private let device: any Device
    private let model: any VisionLanguageModel
    private let cache: [KVLayer]
    /// f32 [image pages · rows per page, hidden].
    private let embeddings: Tensor
    /// The numbers from zero, i32 [rows per page · tiles per step].
    private let ascending: Tensor
    private let limits: SchedulerLimits
    private let vocabularyCount: Int
    private let endIDs: [Int32]
    private let workspace: Workspace

    /// Allocates the stores that `limits` asks for.
    ///
    /// `vocabularyCount` is the tokenizer's.
    init(
        model: any VisionLanguageModel, device: any Device, limits: SchedulerLimits, elementType: ElementType,
        vocabularyCount: Int, endIDs: [Int32],
    ) throws(DeviceError) {
        self.device = device
        self.model = model
        self.limits = limits
        self.endIDs = endIDs
        let text = model.description.text
        self.vocabularyCount = min(vocabularyCount, text.vocabularyCount)
        let shape: Shape = [limits.pageCount, text.heads.keyValueHeads, limits.pageSize, text.heads.headDim]
        var cache: [KVLayer] = []
        for _ in 0..<text.layerCount {
            cache.append(
                KVLayer(
                    keys: try device.makeTensor(shape, elementType),
                    values: try device.makeTensor(shape, elementType)))
        }
        self.cache = cache
        let rows = max(1, limits.imagePageCount * limits.rowsPerImagePage)
        embeddings = try device.makeTensor([rows, text.hiddenSize], .f32)
        let ascendingCount = limits.rowsPerImagePage * limits.tilesPerStep
        ascending = try device.makeTensor([ascendingCount], .i32)
        device.write((0..<Int32(ascendingCount)).map(\.self), to: ascending)
        workspace = try Workspace(device: device, byteCount: 0)
    }

    /// Puts tiles, u8 [n, size, size, 3], through the tower and stores their embeddings in `pages`, one a
    /// tile.
    ///
    /// Answers false when an embedding is not finite.
    func encode(tiles: [UInt8], tileSize: Int, pages: [PageIndex]) throws(DeviceError) -> Bool {
        workspace.reset()
        let input = try workspace.take([pages.count, tileSize, tileSize, 3], .u8)
        device.write(tiles, to: input)
        let output = try model.encode(tiles: input, workspace: workspace)
        let rows = limits.rowsPerImagePage
        for (tile, page) in pages.enumerated() {
            let target = Int(page) * rows
            device.operators.gatherRows(
                output, rows: ascending[(tile * rows)..<((tile + 1) * rows)],
                out: embeddings[target..<(target + rows)])
        }
        return device.readFloats(output).allSatisfy(\.isFinite)
    }

    /// Runs the sequences of a step; one result for each.
    func run(_ sequences: [SequenceStep]) throws(DeviceError) -> [SequenceResult] {
        workspace.reset()
        let batch = try InputPacker(device: device, workspace: workspace, limits: limits)
            .pack(sequences, embeddings: embeddings, cache: cache)
        let logits = try model.forward(batch, workspace: workspace)
        let rows = sequences.flatMap { $0.rows(vocabularyCount: vocabularyCount, endIDs: endIDs) }
        var tokens = (rows.isEmpty ? [] : device.operators.sample(logits, rows: rows))[...]
        return sequences.map { sequence in
            let scores = Array(tokens.prefix(sequence.scoring?.ids.count ?? 0))
            tokens = tokens.dropFirst(scores.count)
            let token = sequence.choice == nil ? nil : tokens.popFirst()
            return SequenceResult(scores: scores, token: token.flatMap { $0.id >= 0 ? $0 : nil })
        }
    }
}

/// What a step came to for one sequence.
struct SequenceResult {
    /// The tokens of the prompt that were to be reported on; −1 for one without finite logits.
    var scores: [SampledToken] = []
    /// The token that follows; nil where none was asked for or it failed.
    var token: SampledToken?
}

/// Random numbers by position, so that a token's draw depends on its request alone.
enum CounterRandom {
    /// A number in [0, 1) for draw `index` of `seed`, by the finaliser of SplitMix64 (Steele, Lea, Flood, 2014).
    static func uniform(seed: UInt64, index: Int) -> Double {
        func mix(_ value: UInt64) -> UInt64 {
            var mixed = value
            mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
            return mixed ^ (mixed >> 31)
        }
        // Safe: arithmetic modulo 2⁶⁴ is what the generator asks for.
        let bits = mix(
            mix(seed &+ 0x9e37_79b9_7f4a_7c15) &+ UInt64(truncatingIfNeeded: index) &* 0x9e37_79b9_7f4a_7c15)
        return Double(bits >> 11) * 0x1p-53
    }
}
