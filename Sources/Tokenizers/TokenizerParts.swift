/// A tokenizer's stages, whichever file they come from.
struct TokenizerParts {
    /// Rewrites text first.
    var normalizer: Normalizer
    /// Cuts text into pieces.
    var preTokenizer: PreTokenizer
    /// Encodes a piece.
    var model: TokenModel
    /// The tokens, added ones among them.
    var vocabulary: Vocabulary
    /// How ids become text.
    var output: TokenOutput
    /// What is put round the text.
    var postProcessor: PostProcessor
    /// The added tokens in the order of the file, without repetitions.
    var addedTokens: [AddedToken] = []
    /// Tokens of the model that are found in normalized text, spelled as they are.
    var symbols: [AddedToken] = []
    /// The ids of control tokens.
    var specialIDs: Set<Int32> = []

    /// Stages without added tokens.
    init(
        normalizer: Normalizer, preTokenizer: PreTokenizer, model: TokenModel, output: TokenOutput,
        postProcessor: PostProcessor
    ) {
        self.normalizer = normalizer
        self.preTokenizer = preTokenizer
        self.model = model
        vocabulary = model.vocabulary
        self.output = output
        self.postProcessor = postProcessor
    }
}
