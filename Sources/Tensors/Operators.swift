/// The operations a model may ask of a device.
///
/// The residual stream, logits and embeddings of pictures are f32. What goes into a product and what comes out of one
/// beside the stream are *operands*, of `operandType`. T counts tokens.
///
/// Shapes are checked here by the caller's construction and by backends with preconditions: a wrong shape is a bug of
/// ours, never of a request. Outputs never alias inputs unless a line says so.
package protocol Operators: Sendable {
    /// What operands are made of: f32 or bf16.
    var operandType: ElementType { get }

    // MARK: Products

    /// out[t, n] = epilogue(Σₖ x[t, k] · W[n, k] + bias[n]); x is [T, K], out is [T, N], an operand or f32.
    func linear(_ x: LinearInput, _ weights: any LinearWeights, epilogue: LinearEpilogue, out: Tensor)

    // MARK: Rows

    /// out[t, c] = x[t, c] / √(mean_c x[t, c]² + ε) · weight[c]; x is f32 [T, C], out an operand
    /// [T, C], weight is f32 [C].
    func rmsNorm(_ x: Tensor, weight: Tensor, epsilon: Float, out: Tensor)
    /// out[t, c] += x[t, c] / √(mean_c x[t, c]² + ε) · weight[c]; x and out are f32 [T, C], weight is f32 [C].
    ///
    /// x may hold something else afterwards.
    func addNorm(_ x: Tensor, weight: Tensor, epsilon: Float, to out: Tensor)
    /// The same in place on the columns `columns` of the operand x [T, C], weight f32 [columns.count] (QK norm on fused
    /// rows).
    func rmsNorm(_ x: Tensor, columns: Range<Int>, weight: Tensor, epsilon: Float)
    /// out[t, k] = Σ_c x[t, c]² over the columns c of `columns[k]` of the operand x [T, C]; out is f32 [T, at least k].
    func sumSquares(_ x: Tensor, columns: [Range<Int>], out: Tensor)
    /// x[t, c] = x[t, c] / √(squares[t, column] / count + ε) · weight[c] on the columns `columns` of the operand x [T, C], weight
    /// f32 [columns.count], squares f32 [T, K].
    func scaleColumns(
        _ x: Tensor, columns: Range<Int>, weight: Tensor, squares: Tensor, column: Int, count: Int,
        epsilon: Float)
    /// out[t, c] = (x[t, c] − mean) / √(variance + ε) · weight[c] + bias[c]; weight and bias f32 [C]; x f32 and
    /// out an operand or f32, [T, C].
    func layerNorm(_ x: Tensor, weight: Tensor, bias: Tensor, epsilon: Float, out: Tensor)
    /// out[r] = x[rows[r]]; x is f32 [T, C], rows i32 [R], out f32 or an operand, [R, C].
    func gatherRows(_ x: Tensor, rows: Tensor, out: Tensor)

    /// out[t, first + c] = x[t, c]; x is f32 [T, C], out f32 [T, D].
    func placeColumns(_ x: Tensor, at first: Int, of out: Tensor)

    /// out[t] += Σⱼ weights[t, j] · table[rows[t, j]] over those j whose row is not below zero.
    ///
    /// table is f32 [R, C], rows i32 [T, J], weights f32 [T, J] or nil for ones, out f32 [T, C].
    func addRows(of table: Tensor, rows: Tensor, weights: Tensor?, to out: Tensor)

    /// x[i] = 0; x is f32.
    func clear(_ x: Tensor)

    /// out[0] = how many elements of x, f32, are not finite; out is i32 [1].
    func countFaults(_ x: Tensor, out: Tensor)

    // MARK: Text tower

    /// out[t] = scale · table[ids[t] − firstID] when imageRows[t] < 0, else images[imageRows[t]]; zeros where there is no such
    /// row.
    ///
    /// ids and imageRows are i32 [T]; table is bf16 or f32 [V, H], the rows of the ids from `firstID` on; images is f32
    /// [R, H]; out is f32 [T, H]. An id below zero stands for previous[−1 − id], which the device may have chosen a moment
    /// ago; previous is i32.
    func embed(
        ids: Tensor, previous: Tensor, imageRows: Tensor, table: Tensor, firstID: Int, scale: Float,
        images: Tensor, out: Tensor)
    /// Rotates the queries of `qkv` in place and its keys on their way into the cache, where the values go too.
    ///
    /// qkv is an operand [T, (heads + 2 · keyValueHeads) · headDim]: queries, keys, values. With `norms` each query and key head
    /// is first n[i] = x[i] / √(meanᵢ x[i]² + ε) · weight[i], i over the whole head; without, n = x. Rotation is by
    /// halves (GPT-NeoX) of a head's first R values, R being twice the columns of `rotary`, at most headDim:
    /// out[i] = n[i]·cos − n[i + R/2]·sin, out[i + R/2] = n[i + R/2]·cos + n[i]·sin for i < R/2, with cos and sin of
    /// `rotary` at [positions[t], i], or at [positions[axes[i], t], i] where the table has axes; values from R on stay as
    /// they are in n.
    func rotateAndStore(
        qkv: Tensor, heads: HeadLayout, norms: HeadNorms?, rotary: RotaryTable, batch: AttentionBatch,
        cache: KVLayer)
    /// Causal attention of the rotated queries in `qkv` over the cached keys and values; out is an operand
    /// [T, heads · headDim].
    ///
    /// Query i of sequence s (of q queries and context length c, both from `batch`) sees positions 0 … c − q + i, or those
    /// below its entry in the batch's `sights`; with a `window` of those that end at its own only so many, and all behind it
    /// that it sees. Scores are scaled by `scale` before the softmax.
    func pagedAttention(
        qkv: Tensor, heads: HeadLayout, scale: Float, window: Int?, batch: AttentionBatch, cache: KVLayer,
        out: Tensor)

    /// Adds a mixture of experts to the stream: stream[t] += Σⱼ pⱼ · expertⱼ(x[t]) over the `topCount` experts of the largest
    /// logits[t], pⱼ being softmax(logits[t]) there, divided by their sum if `mixture` says so.
    ///
    /// An expert is down(silu(gate(x)) · up(x)) of `mixture`'s weights. x is an operand [T, H], logits f32 [T, experts], stream
    /// f32 [T, H]; `scratch` is f32, of as many elements as `mixScratchCount` says.
    func mixExperts(
        _ x: Tensor, logits: Tensor, mixture: ExpertMixture, scratch: Tensor, addingTo stream: Tensor)
    /// How many f32 `mixExperts` takes as scratch for `tokenCount` tokens.
    func mixScratchCount(_ mixture: ExpertMixture, tokenCount: Int) -> Int

    // MARK: Vision tower

    /// Rotates queries and keys in place as `rotateAndStore` does without norms; the values stay.
    ///
    /// qkv is an operand [T, 3 · heads · headDim]; positions is i32 [T], or [axes, T] where the table has axes.
    func rotate(qkv: Tensor, heads: HeadLayout, rotary: RotaryTable, positions: Tensor)

    /// out[n·P + p, (c·s + y)·s + x] = (tiles[n, py·s + y, px·s + x, c] / 255 − mean[c]) / deviation[c]: the rows of a
    /// strided convolution of patch size s, P patches a tile, row by row. tiles is u8 [n, size, size, 3], out an operand.
    func patchRows(tiles: Tensor, patchSize: Int, mean: [Float], deviation: [Float], out: Tensor)
    /// out[n, 0] = classToken + positions[0]; out[n, 1 + p] = patches[n·P + p] + positions[1 + p].
    ///
    /// patches is an operand [n·P, C], classToken f32 [C], positions f32 [1 + P, C], out f32 [n, 1 + P, C].
    func addPositions(patches: Tensor, classToken: Tensor, positions: Tensor, out: Tensor)
    /// Attention without a mask within each of `sequences` in qkv [T, 3·heads·headDim] (queries, keys, values; as many key
    /// heads as query heads); out is [T, heads·headDim]. Both are operands.
    func fullAttention(
        qkv: Tensor, sequences: PackedSequences, heads: Int, headDim: Int, scale: Float, out: Tensor)
    /// Drops each tile's class token and joins 2 × 2 neighbours (InternVL's pixel shuffle, version 2, factor ½).
    ///
    /// x is f32 [n, 1 + side², C]; out is f32 [n·(side/2)², 4·C]: row (i, j) holds, in this order, the channels of grid cells
    /// (row 2i, column 2j), (2i, 2j+1), (2i+1, 2j), (2i+1, 2j+1).
    func pixelShuffle(_ x: Tensor, side: Int, out: Tensor)
}

extension Operators {
    /// `embed` with rows as they are in the table.
    package func embed(
        ids: Tensor, previous: Tensor, imageRows: Tensor, table: Tensor, firstID: Int, images: Tensor,
        out: Tensor,
    ) {
        embed(
            ids: ids, previous: previous, imageRows: imageRows, table: table, firstID: firstID, scale: 1,
            images: images, out: out)
    }

    /// `pagedAttention` without a window.
    package func pagedAttention(
        qkv: Tensor, heads: HeadLayout, scale: Float, batch: AttentionBatch, cache: KVLayer, out: Tensor,
    ) {
        pagedAttention(
            qkv: qkv, heads: heads, scale: scale, window: nil, batch: batch, cache: cache, out: out)
    }
}

/// What a product is taken of.
package enum LinearInput: Sendable {
    /// An operand [T, K].
    case rows(Tensor)
    /// The stream f32 [T, K] after a root-mean-square norm, x[t, k] / √(meanₖ x[t, k]² + ε) · weight[k]; weight is f32
    /// [K]. The normed rows may go into the operand `scratch` [T, K].
    case rmsNorm(Tensor, weight: Tensor, epsilon: Float, scratch: Tensor)

    /// T.
    package var rowCount: Int {
        switch self {
        case .rows(let x), .rmsNorm(let x, _, _, _): x.shape.rowCount
        }
    }
}

/// What follows a product v, on its own rows.
package enum LinearEpilogue: Sendable {
    /// Nothing.
    case none
    /// A GELU.
    case gelu(GELU)
    /// out + scale · v on the stream, out being f32 [T, N]; the scale is that of the weights.
    case addToOutput
    /// silu(v[t, i]) · v[t, I + i] of N = 2 · I values (gate beside up); out is the operand [T, I]. The values may go
    /// into the operand `scratch` [T, 2 · I].
    case siluMultiply(scratch: Tensor)
    /// The same with the GELU by a tanh in place of silu.
    case geluMultiply(scratch: Tensor)
}

/// The Gaussian error linear unit and what stands for it (https://arxiv.org/abs/1606.08415).
package enum GELU: Sendable, Hashable {
    /// v · ½ · (1 + erf(v / √2)).
    case exact
    /// v · ½ · (1 + tanh(√(2/π) · (v + 0.044715 · v³))).
    case tanh
    /// v / (1 + exp(−1.702 · v)), which some call quick.
    case logistic
}

/// Experts to choose from.
package struct ExpertMixture: Sendable {
    /// All of them, appended.
    package let weights: any ExpertWeights
    /// How many experts a token goes to.
    package let topCount: Int
    /// Whether their shares sum to one.
    package let normalizes: Bool

    /// Takes weights of at least `topCount` experts.
    package init(weights: any ExpertWeights, topCount: Int, normalizes: Bool) {
        precondition(topCount >= 1 && topCount <= weights.count, "experts to choose from")
        self.weights = weights
        self.topCount = topCount
        self.normalizes = normalizes
    }
}

/// How the columns of fused query-key-value rows are divided.
package struct HeadLayout: Sendable, Hashable {
    /// Query heads.
    package let heads: Int
    /// Key heads, and as many value heads; divides `heads`.
    package let keyValueHeads: Int
    /// Values a head has.
    package let headDim: Int

    /// A layout of positive counts.
    package init(heads: Int, keyValueHeads: Int, headDim: Int) {
        precondition(heads > 0 && keyValueHeads > 0 && headDim > 0 && heads.isMultiple(of: keyValueHeads))
        self.heads = heads
        self.keyValueHeads = keyValueHeads
        self.headDim = headDim
    }

    /// Columns of a fused row.
    package var columnCount: Int { (heads + 2 * keyValueHeads) * headDim }
}

/// Root-mean-square norms of queries and keys before they are rotated, over each head by itself.
package struct HeadNorms: Sendable {
    /// f32 [headDim], the same for every query head.
    package let queryWeight: Tensor
    /// f32 [headDim], the same for every key head.
    package let keyWeight: Tensor
    /// ε of both.
    package let epsilon: Float

    /// Takes both weights.
    package init(queryWeight: Tensor, keyWeight: Tensor, epsilon: Float) {
        self.queryWeight = queryWeight
        self.keyWeight = keyWeight
        self.epsilon = epsilon
    }
}

/// Cosines and sines of the rotary embedding.
package struct RotaryTable: Sendable {
    /// f32 [positions, R / 2] for R turning values a head, attention scaling included.
    package let cosines: Tensor
    /// f32 [positions, R / 2], attention scaling included.
    package let sines: Tensor
    /// i32 [R / 2]: which of a token's positions turns the pair; nil where tokens have one position.
    package let axes: Tensor?

    /// Takes the tables.
    package init(cosines: Tensor, sines: Tensor, axes: Tensor? = nil) {
        self.cosines = cosines
        self.sines = sines
        self.axes = axes
    }
}

/// Sequences packed one after another.
package struct PackedSequences: Sendable {
    /// i32 [count + 1]: where each begins; nil where all are of length `longest`.
    package let starts: Tensor?
    /// How many there are.
    package let count: Int
    /// Tokens of the longest.
    package let longest: Int

    /// `count` sequences of `length` tokens each.
    package init(count: Int, length: Int) {
        starts = nil
        self.count = count
        longest = length
    }

    /// Sequences that begin at `starts`, i32 [count + 1], rising, its last entry the number of all tokens.
    package init(starts: Tensor, longest: Int) {
        self.starts = starts
        count = starts.elementCount - 1
        self.longest = longest
    }
}

/// One layer's part of the paged cache.
package struct KVLayer: Sendable {
    /// bf16 or f32 [pages, keyValueHeads, pageSize, headDim].
    package let keys: Tensor
    /// The same shape and type.
    package let values: Tensor

    /// Takes both tensors.
    package init(keys: Tensor, values: Tensor) {
        self.keys = keys
        self.values = values
    }

    /// Tokens a page holds.
    package var pageSize: Int { keys.shape[2] }
}

/// Where the tokens of one forward pass stand: S sequences packed one after another into T tokens.
package struct AttentionBatch: Sendable {
    /// i32 [T]: each token's place in its sequence; [axes, T] for a rotary table with axes.
    package let positions: Tensor
    /// i32 [T]: where its key and value go: page · pageSize + place in the page; nowhere when below zero.
    package let slots: Tensor
    /// i32 [S + 1]: where each sequence's tokens begin.
    package let queryStarts: Tensor
    /// i32 [S]: each sequence's length, the tokens of this pass included; zero for a place left empty, whose output is
    /// not defined.
    package let contextLengths: Tensor
    /// i32 [S, most pages]: each sequence's pages in order.
    package let pageTable: Tensor
    /// i32 [T]: up to where each token sees its sequence, beyond its own place and never falling within a sequence; nil where
    /// that is its own place.
    package let sights: Tensor?
    /// S.
    package let sequenceCount: Int
    /// The first so many sequences have one token each in this pass.
    package let singleCount: Int
    /// The largest number of tokens of one sequence in this pass.
    package let maxQueryCount: Int
    /// The largest context length.
    package let maxContextLength: Int

    /// Takes tensors that agree with one another.
    package init(
        positions: Tensor, slots: Tensor, queryStarts: Tensor, contextLengths: Tensor, pageTable: Tensor,
        sights: Tensor? = nil, sequenceCount: Int, singleCount: Int = 0, maxQueryCount: Int,
        maxContextLength: Int,
    ) {
        self.positions = positions
        self.slots = slots
        self.queryStarts = queryStarts
        self.contextLengths = contextLengths
        self.pageTable = pageTable
        self.sights = sights
        self.sequenceCount = sequenceCount
        self.singleCount = singleCount
        self.maxQueryCount = maxQueryCount
        self.maxContextLength = maxContextLength
    }
}
