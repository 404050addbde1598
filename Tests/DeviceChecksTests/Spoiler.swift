import Synchronization
import Tensors

/// A device that does everything as another one does, but for one result of each operator.
final class Spoiler: Device {
    let operators: any Operators
    private let base: any Device
    private let spoils: Spoils

    /// Takes a device whose memory is the host's.
    init(_ base: any Device) {
        self.base = base
        spoils = Spoils()
        operators = SpoilingOperators(base: base.operators, device: base, spoils: spoils)
    }

    /// What the checks call the results that were spoilt.
    var spoiltNames: Set<String> { spoils.names }

    var name: String { "spoiling \(base.name)" }
    var isAsynchronous: Bool { base.isAsynchronous }
    var freeByteCount: Int { base.freeByteCount }
    var preferredTokensPerStep: Int { base.preferredTokensPerStep }
    var preferredTilesPerStep: Int { base.preferredTilesPerStep }

    func checkHeads(headDim: Int, turningPairs: Int) throws(DeviceError) {
        try base.checkHeads(headDim: headDim, turningPairs: turningPairs)
    }
    func checkExperts(count: Int, topCount: Int, hidden: Int) throws(DeviceError) {
        try base.checkExperts(count: count, topCount: topCount, hidden: hidden)
    }
    func checkRows(_ count: Int) throws(DeviceError) { try base.checkRows(count) }
    func allocate(byteCount: Int) throws(DeviceError) -> Storage { try base.allocate(byteCount: byteCount) }
    func write(_ bytes: UnsafeRawBufferPointer, to target: Tensor) { unsafe base.write(bytes, to: target) }
    func read(_ source: Tensor, into bytes: UnsafeMutableRawBufferPointer) throws(DeviceError) {
        unsafe try base.read(source, into: bytes)
    }
    func wait() throws(DeviceError) { try base.wait() }
    func check() throws(DeviceError) { try base.check() }
    func load(_ source: Tensor, as elementType: ElementType) throws(DeviceError) -> Tensor {
        try base.load(source, as: elementType)
    }
    func prepareLinear(
        weights parts: [Tensor], bias: [Tensor], scale: Tensor?, format: WeightFormat,
    ) throws(DeviceError) -> any LinearWeights {
        try base.prepareLinear(weights: parts, bias: bias, scale: scale, format: format)
    }
    func makeExperts(
        count: Int, width: Int, hidden: Int, format: WeightFormat,
    ) throws(DeviceError) -> any ExpertWeights {
        try base.makeExperts(count: count, width: width, hidden: hidden, format: format)
    }
    func makeSampler(capacity: Int, vocabularyCount: Int) throws(DeviceError) -> any TokenSampler {
        SpoilingSampler(
            try base.makeSampler(capacity: capacity, vocabularyCount: vocabularyCount), spoils: spoils)
    }
    func paddedCount(_ count: Int) -> Int { base.paddedCount(count) }
    func replay(_ key: ReplayKey, _ body: () throws(DeviceError) -> Void) throws(DeviceError) {
        try base.replay(key, body)
    }
}

/// Which results are spoilt: the third of each name.
private final class Spoils: Sendable {
    private let counts = Mutex<[String: Int]>([:])

    /// Counts a result; whether to spoil it.
    func take(_ name: String) -> Bool {
        counts.withLock {
            $0[name, default: 0] += 1
            return $0[name] == 3
        }
    }

    var names: Set<String> { counts.withLock { Set($0.keys) } }
}

private struct SpoilingOperators: Operators {
    let base: any Operators
    let device: any Device
    let spoils: Spoils

    var operandType: ElementType { base.operandType }

    /// Changes the last value of `tensor` when it is this name's turn.
    private func spoil(_ name: String, _ tensor: Tensor) {
        guard spoils.take(name), var values = try? device.readFloats(tensor), let last = values.last else {
            return
        }
        values[values.count - 1] = last + 100
        device.write(values, to: tensor)
    }

    func linear(_ x: LinearInput, _ weights: any LinearWeights, epilogue: LinearEpilogue, out: Tensor) {
        base.linear(x, weights, epilogue: epilogue, out: out)
        if case .rows = x { spoil("linear", out) } else { spoil("linear of normed rows", out) }
    }
    func rmsNorm(_ x: Tensor, weight: Tensor, epsilon: Float, out: Tensor) {
        base.rmsNorm(x, weight: weight, epsilon: epsilon, out: out)
        spoil("rmsNorm", out)
    }
    func addNorm(_ x: Tensor, weight: Tensor, epsilon: Float, to out: Tensor) {
        base.addNorm(x, weight: weight, epsilon: epsilon, to: out)
        spoil("addNorm", out)
    }
    func rmsNorm(_ x: Tensor, columns: Range<Int>, weight: Tensor, epsilon: Float) {
        base.rmsNorm(x, columns: columns, weight: weight, epsilon: epsilon)
        spoil("rmsNorm in place", x)
    }
    func layerNorm(_ x: Tensor, weight: Tensor, bias: Tensor, epsilon: Float, out: Tensor) {
        base.layerNorm(x, weight: weight, bias: bias, epsilon: epsilon, out: out)
        spoil("layerNorm", out)
    }
    func gatherRows(_ x: Tensor, rows: Tensor, out: Tensor) {
        base.gatherRows(x, rows: rows, out: out)
        spoil("gatherRows", out)
    }
    func addRows(of table: Tensor, rows: Tensor, weights: Tensor?, to out: Tensor) {
        base.addRows(of: table, rows: rows, weights: weights, to: out)
        spoil("addRows", out)
    }
    func mixExperts(
        _ x: Tensor, logits: Tensor, mixture: ExpertMixture, scratch: Tensor, addingTo stream: Tensor,
    ) {
        base.mixExperts(x, logits: logits, mixture: mixture, scratch: scratch, addingTo: stream)
        spoil("mixExperts", stream)
    }
    func mixScratchCount(_ mixture: ExpertMixture, tokenCount: Int) -> Int {
        base.mixScratchCount(mixture, tokenCount: tokenCount)
    }
    func clear(_ x: Tensor) {
        base.clear(x)
        spoil("clear", x)
    }
    func countFaults(_ x: Tensor, out: Tensor) {
        base.countFaults(x, out: out)
        if spoils.take("countFaults") { device.write([Int32(1)], to: out) }
    }
    func embed(
        ids: Tensor, previous: Tensor, imageRows: Tensor, table: Tensor, firstID: Int, scale: Float,
        images: Tensor, out: Tensor,
    ) {
        base.embed(
            ids: ids, previous: previous, imageRows: imageRows, table: table, firstID: firstID, scale: scale,
            images: images, out: out)
        spoil("embed", out)
    }
    func placeColumns(_ x: Tensor, at first: Int, of out: Tensor) {
        base.placeColumns(x, at: first, of: out)
        spoil("placeColumns", out)
    }
    func sumSquares(_ x: Tensor, columns: [Range<Int>], out: Tensor) {
        base.sumSquares(x, columns: columns, out: out)
        spoil("sumSquares", out)
    }
    func scaleColumns(
        _ x: Tensor, columns: Range<Int>, weight: Tensor, squares: Tensor, column: Int, count: Int,
        epsilon: Float,
    ) {
        base.scaleColumns(
            x, columns: columns, weight: weight, squares: squares, column: column, count: count,
            epsilon: epsilon)
        spoil("scaleColumns", x)
    }
    func rotateAndStore(
        qkv: Tensor, heads: HeadLayout, norms: HeadNorms?, rotary: RotaryTable, batch: AttentionBatch,
        cache: KVLayer,
    ) {
        base.rotateAndStore(
            qkv: qkv, heads: heads, norms: norms, rotary: rotary, batch: batch, cache: cache)
    }
    func pagedAttention(
        qkv: Tensor, heads: HeadLayout, scale: Float, window: Int?, batch: AttentionBatch, cache: KVLayer,
        out: Tensor,
    ) {
        base.pagedAttention(
            qkv: qkv, heads: heads, scale: scale, window: window, batch: batch, cache: cache, out: out)
        spoil("pagedAttention", out)
        spoil("rotated queries", qkv[0..<1].reshaped([qkv.shape.columnCount])[0..<heads.headDim])
    }
    func patchRows(tiles: Tensor, patchSize: Int, mean: [Float], deviation: [Float], out: Tensor) {
        base.patchRows(tiles: tiles, patchSize: patchSize, mean: mean, deviation: deviation, out: out)
        spoil("patchRows", out)
    }
    func addPositions(patches: Tensor, classToken: Tensor, positions: Tensor, out: Tensor) {
        base.addPositions(patches: patches, classToken: classToken, positions: positions, out: out)
        spoil("addPositions", out)
    }
    func rotate(qkv: Tensor, heads: HeadLayout, rotary: RotaryTable, positions: Tensor) {
        base.rotate(qkv: qkv, heads: heads, rotary: rotary, positions: positions)
        spoil("rotate", qkv)
    }
    func fullAttention(
        qkv: Tensor, sequences: PackedSequences, heads: Int, headDim: Int, scale: Float, out: Tensor,
    ) {
        base.fullAttention(
            qkv: qkv, sequences: sequences, heads: heads, headDim: headDim, scale: scale, out: out)
        spoil("fullAttention", out)
    }
    func pixelShuffle(_ x: Tensor, side: Int, out: Tensor) {
        base.pixelShuffle(x, side: side, out: out)
        spoil("pixelShuffle", out)
    }
}

private final class SpoilingSampler: TokenSampler {
    private let base: any TokenSampler
    private let spoils: Spoils

    init(_ base: any TokenSampler, spoils: Spoils) { (self.base, self.spoils) = (base, spoils) }

    var tokens: Tensor { base.tokens }
    func set(_ rules: [SamplingRow]) { base.set(rules) }
    func choose(_ logits: Tensor) throws(DeviceError) { try base.choose(logits) }
    func send() { base.send() }
    func result() throws(DeviceError) -> [SampledToken] {
        let tokens = try base.result()
        guard spoils.take("sample") else { return tokens }
        return tokens.map { SampledToken(id: $0.id ^ 1, logprob: $0.logprob, rank: $0.rank, top: $0.top) }
    }
}
