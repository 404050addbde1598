/// The operations a model may ask of a device.
///
/// Activations are f32 unless a line says otherwise; T counts tokens.
///
/// Shapes are checked here by the caller's construction and by backends with preconditions: a wrong shape is a bug of
/// ours, never of a request. Outputs never alias inputs unless a line says so.
package protocol Operators: Sendable {
    // MARK: Products

    /// out[t, n] = epilogue(Σₖ x[t, k] · W[n, k] + bias[n]); x is [T, K], out is [T, N].
    func linear(_ x: Tensor, _ weights: any LinearWeights, epilogue: LinearEpilogue, out: Tensor)

    // MARK: Rows

    /// out[t, c] = x[t, c] / √(mean_c x[t, c]² + ε) · weight[c]; x and out are [T, C], weight is f32 [C]. out may be x.
    func rmsNorm(_ x: Tensor, weight: Tensor, epsilon: Float, out: Tensor)
    /// The same in place on the columns `columns` of x [T, C], weight f32 [columns.count] (QK norm on fused rows).
    func rmsNorm(_ x: Tensor, columns: Range<Int>, weight: Tensor, epsilon: Float)
    /// out[t, c] = (x[t, c] − mean) / √(variance + ε) · weight[c] + bias[c]; weight and bias f32 [C]. out may be x.
    func layerNorm(_ x: Tensor, weight: Tensor, bias: Tensor, epsilon: Float, out: Tensor)
    /// out[t, i] = silu(x[t, i]) · x[t, I + i]; x is [T, 2 · I] (gate beside up), out is [T, I].
    func siluMultiply(_ x: Tensor, out: Tensor)
    /// out[r] = x[rows[r]]; x is [T, C], rows i32 [R], out [R, C].
    func gatherRows(_ x: Tensor, rows: Tensor, out: Tensor)

    // MARK: Text tower

    /// out[t] = table[ids[t]] when imageRows[t] < 0, else images[imageRows[t]].
    ///
    /// ids and imageRows are i32 [T]; table is bf16 or f32 [V, H]; images is f32 [R, H]; out is [T, H].
    func embed(ids: Tensor, imageRows: Tensor, table: Tensor, images: Tensor, out: Tensor)
    /// Rotates the queries of `qkv` in place and its keys on their way into the cache, where the values go too.
    ///
    /// qkv is [T, (heads + 2 · keyValueHeads) · headDim]: queries, keys, values. With `norms` each query and key head
    /// is first n[i] = x[i] / √(meanᵢ x[i]² + ε) · weight[i], i over the whole head; without, n = x. Rotation is by
    /// halves (GPT-NeoX) of a head's first R values, R being twice the columns of `rotary`, at most headDim:
    /// out[i] = n[i]·cos − n[i + R/2]·sin, out[i + R/2] = n[i + R/2]·cos + n[i]·sin for i < R/2, with cos and sin of
    /// `rotary` at [positions[t], i]; values from R on stay as they are in n.
    func rotateAndStore(
        qkv: Tensor, heads: HeadLayout, norms: HeadNorms?, rotary: RotaryTable, batch: AttentionBatch,
        cache: KVLayer)
    /// Causal attention of the rotated queries in `qkv` over the cached keys and values; out is [T, heads · headDim].
    ///
    /// Query i of sequence s (of q queries and context length c, both from `batch`) sees positions 0 … c − q + i.
    /// Scores are scaled by `scale` before the softmax.
    func pagedAttention(
        qkv: Tensor, heads: HeadLayout, scale: Float, batch: AttentionBatch, cache: KVLayer, out: Tensor)
    /// For each row of logits [R, V] the next token by the row's rule; `rows` has R entries.
    func sample(_ logits: Tensor, rows: [SamplingRow]) -> [SampledToken]

    // MARK: Vision tower

    /// out[n·P + p, (c·s + y)·s + x] = (tiles[n, py·s + y, px·s + x, c] / 255 − mean[c]) / deviation[c]: the rows of a
    /// strided convolution of patch size s, P patches a tile, row by row. tiles is u8 [n, size, size, 3].
    func patchRows(tiles: Tensor, patchSize: Int, mean: [Float], deviation: [Float], out: Tensor)
    /// out[n, 0] = classToken + positions[0]; out[n, 1 + p] = patches[n·P + p] + positions[1 + p].
    ///
    /// patches is [n·P, C], classToken f32 [C], positions f32 [1 + P, C], out [n, 1 + P, C].
    func addPositions(patches: Tensor, classToken: Tensor, positions: Tensor, out: Tensor)
    /// Attention without a mask within each of the n sequences of `length` tokens in qkv [n·length, 3·heads·headDim]
    /// (queries, keys, values; as many key heads as query heads); out is [n·length, heads·headDim].
    func fullAttention(qkv: Tensor, length: Int, heads: Int, headDim: Int, scale: Float, out: Tensor)
    /// Drops each tile's class token and joins 2 × 2 neighbours (InternVL's pixel shuffle, version 2, factor ½).
    ///
    /// x is [n, 1 + side², C]; out is [n·(side/2)², 4·C]: row (i, j) holds, in this order, the channels of grid cells
    /// (row 2i, column 2j), (2i, 2j+1), (2i+1, 2j), (2i+1, 2j+1).
    func pixelShuffle(_ x: Tensor, side: Int, out: Tensor)
}

/// What follows a product, on its own rows.
package enum LinearEpilogue: Sendable {
    /// Nothing.
    case none
    /// GELU with the error function: v · ½ · (1 + erf(v / √2)).
    case gelu
    /// residual + v; residual is f32 [T, N] and may be the output itself.
    case add(residual: Tensor)
    /// residual + scale[n] · v; scale is f32 [N] (layer scale), residual may be the output itself.
    case scaleAdd(scale: Tensor, residual: Tensor)
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

    /// Takes both tables.
    package init(cosines: Tensor, sines: Tensor) {
        self.cosines = cosines
        self.sines = sines
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
    /// i32 [T]: each token's place in its sequence.
    package let positions: Tensor
    /// i32 [T]: where its key and value go: page · pageSize + place in the page.
    package let slots: Tensor
    /// i32 [S + 1]: where each sequence's tokens begin.
    package let queryStarts: Tensor
    /// i32 [S]: each sequence's length, the tokens of this pass included.
    package let contextLengths: Tensor
    /// i32 [S, most pages]: each sequence's pages in order.
    package let pageTable: Tensor
    /// S.
    package let sequenceCount: Int
    /// The largest number of tokens of one sequence in this pass.
    package let maxQueryCount: Int
    /// The largest context length.
    package let maxContextLength: Int

    /// Takes tensors that agree with one another.
    package init(
        positions: Tensor, slots: Tensor, queryStarts: Tensor, contextLengths: Tensor, pageTable: Tensor,
        sequenceCount: Int, maxQueryCount: Int, maxContextLength: Int,
    ) {
        self.positions = positions
        self.slots = slots
        self.queryStarts = queryStarts
        self.contextLengths = contextLengths
        self.pageTable = pageTable
        self.sequenceCount = sequenceCount
        self.maxQueryCount = maxQueryCount
        self.maxContextLength = maxContextLength
    }
}

/// How to choose the next token of one row.
///
/// First `changes` and `bannedIDs`; of what is left the likeliest when greedy, else: divide by the temperature, keep the
/// k likeliest, of these the likeliest until they have p of their probability, of these those at least as likely as
/// `minP` times the likeliest; then draw.
package struct SamplingRow: Sendable {
    /// Zero for greedy; otherwise what logits are divided by.
    package var temperature: Float
    /// Keep the k likeliest; zero or less keeps all.
    package var topK: Int
    /// Keep the likeliest until their probabilities sum to p; 1 keeps all.
    package var topP: Float
    /// Keep what is at least as likely as this part of the likeliest; zero keeps all.
    package var minP: Float
    /// A uniform number in [0, 1) that decides; the caller derives it from the request's seed and the token's index.
    package var uniform: Double
    /// What is done to the logits.
    package var changes: LogitChanges
    /// Ids that may not be chosen.
    package var bannedIDs: [Int32]
    /// Ids at or beyond it are never chosen: a padded vocabulary has more logits than tokens.
    package var vocabularyCount: Int
    /// How many of the likeliest tokens to report, with natural logarithms of their probabilities.
    package var topLogprobCount: Int
    /// A token that is the result whatever the rest says, for its log-probability and rank; below the row's width.
    package var givenID: Int32?

    /// Greedy by default.
    package init(
        temperature: Float = 0, topK: Int = 0, topP: Float = 1, minP: Float = 0, uniform: Double = 0,
        changes: LogitChanges = LogitChanges(), bannedIDs: [Int32] = [], vocabularyCount: Int,
        topLogprobCount: Int = 0, givenID: Int32? = nil,
    ) {
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.minP = minP
        self.uniform = uniform
        self.changes = changes
        self.bannedIDs = bannedIDs
        self.vocabularyCount = vocabularyCount
        self.topLogprobCount = topLogprobCount
        self.givenID = givenID
    }
}

/// A chosen token.
///
/// Log-probabilities are of the untouched softmax (no temperature, no changes, no bans), natural logarithm.
package struct SampledToken: Sendable, Hashable {
    /// A token and its log-probability.
    package struct Candidate: Sendable, Hashable {
        package let id: Int32
        package let logprob: Float

        /// Takes both.
        package init(id: Int32, logprob: Float) {
            self.id = id
            self.logprob = logprob
        }
    }

    /// The choice; −1 when the row has no finite logit (a NaN row fails its request, nothing else).
    package let id: Int32
    /// Its log-probability.
    package let logprob: Float
    /// Its rank by probability, 1 for the likeliest.
    package let rank: Int32
    /// The likeliest, best first.
    package let top: [Candidate]

    /// Takes all four.
    package init(id: Int32, logprob: Float, rank: Int32, top: [Candidate]) {
        self.id = id
        self.logprob = logprob
        self.rank = rank
        self.top = top
    }
}
