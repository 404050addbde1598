package import Tensors

/// Sizes and settings of the text tower.
package struct TextShape: Sendable, Hashable {
    /// Decoder layers.
    package var layerCount: Int
    /// Width of the residual stream.
    package var hiddenSize: Int
    /// Width of the gated MLP.
    package var intermediateSize: Int
    /// The experts that take the place of the MLP in some layers; nil for none.
    package var experts: ExpertShape?
    /// Query, key and value heads.
    package var heads: HeadLayout
    /// Rows of the embedding and of the logits; may exceed the tokenizer's length.
    package var vocabularyCount: Int
    /// The longest sequence the rotary embedding covers, its scaling included; may be lowered before loading.
    package var maxPositions: Int
    /// ε of the norms.
    package var epsilon: Float
    /// How positions turn queries and keys.
    package var rotary: RotaryShape
    /// Which products add a bias.
    package var biases: Biases
    /// ε of the norms over each head of queries and keys; nil for none.
    package var queryKeyEpsilon: Float?
    /// Whether the embedding is also the head.
    package var tiesEmbeddings: Bool
    /// Standard deviation of random weights.
    package var initializerRange: Float
    /// What the checkpoint calls its weights.
    package var names: DecoderNames
    /// Layers that do not see all of their past; nil where all do.
    package var sliding: SlidingShape?
    /// What attention's scores are multiplied by; nil for 1 / √headDim.
    package var attentionScale: Float?
    /// The activation of the gate in an MLP.
    package var gate = Gate.silu
    /// What is added to all weights of norms.
    package var normShift: Float = 0
    /// What rows of the embedding are multiplied by.
    package var embeddingScale: Float = 1

    /// Activations of gates.
    package enum Gate: Sendable, Hashable {
        case silu
        /// The GELU by a tanh.
        case tanhGELU
    }

    /// Products of a layer that add a bias.
    package struct Biases: OptionSet, Sendable, Hashable {
        package let rawValue: Int
        package init(rawValue: Int) { self.rawValue = rawValue }

        /// Queries, keys and values.
        package static let qkv = Biases(rawValue: 1)
        /// The product after attention.
        package static let output = Biases(rawValue: 2)
        /// All three products of the MLP.
        package static let mlp = Biases(rawValue: 4)
    }

    /// Takes checked sizes.
    package init(
        layerCount: Int, hiddenSize: Int, intermediateSize: Int, heads: HeadLayout, vocabularyCount: Int,
        maxPositions: Int, epsilon: Float = 1e-6, rotary: RotaryShape = RotaryShape(), biases: Biases = [],
        queryKeyEpsilon: Float? = nil, tiesEmbeddings: Bool = false, initializerRange: Float = 0.02,
        names: DecoderNames = .llama,
    ) {
        self.layerCount = layerCount
        self.hiddenSize = hiddenSize
        self.intermediateSize = intermediateSize
        self.heads = heads
        self.vocabularyCount = vocabularyCount
        self.maxPositions = maxPositions
        self.epsilon = epsilon
        self.rotary = rotary
        self.biases = biases
        self.queryKeyEpsilon = queryKeyEpsilon
        self.tiesEmbeddings = tiesEmbeddings
        self.initializerRange = initializerRange
        self.names = names
    }
}

/// The layers that see only so many tokens back.
package struct SlidingShape: Sendable, Hashable {
    /// How many, the token itself included.
    package var window: Int
    /// Which layers.
    package var layers: Set<Int>
    /// How positions turn their queries and keys; nil for as in the others.
    package var rotary: RotaryShape?
}

/// Sizes and settings of a mixture of experts.
package struct ExpertShape: Sendable, Hashable {
    /// How many experts there are.
    package var count: Int
    /// How many a token goes to.
    package var topCount: Int
    /// Width of an expert's gated MLP.
    package var intermediateSize: Int
    /// Whether the shares of the chosen ones sum to one.
    package var normalizes: Bool
    /// The layers that have experts.
    package var layers: Set<Int>
}

extension TextShape {
    /// Whether a checkpoint may have `tensor` though the tower has no use for it: a tied head, or angles.
    func leavesOut(_ tensor: String) -> Bool {
        tensor.hasSuffix("rotary_emb.inv_freq")
            || tiesEmbeddings && ".\(tensor)".hasSuffix(".\(names.head).weight")
    }
}
