/// What makes ids of a piece of text.
enum TokenModel: Sendable {
    /// Byte-pair encoding.
    case bytePair(BytePairModel)
    /// The most probable cut into pieces.
    case unigram(UnigramModel)

    /// The tokens.
    var vocabulary: Vocabulary {
        switch self {
        case .bytePair(let model): model.vocabulary
        case .unigram(let model): model.vocabulary
        }
    }

    /// Whether words, each with the space marks before it, may be encoded one by one.
    var isCutAtMarks: Bool {
        switch self {
        case .bytePair(let model): model.isCutAtMarks
        case .unigram: false
        }
    }
}
