import Tensors

extension TextShape {
    /// Why the tower cannot be divided over `rankCount` ranks; nil when it can.
    package func obstacle(toRanks rankCount: Int) -> String? {
        if !heads.heads.isMultiple(of: rankCount) {
            return "\(heads.heads) attention heads"
        }
        let keyHeads = heads.keyValueHeads
        if !keyHeads.isMultiple(of: rankCount), !rankCount.isMultiple(of: keyHeads) {
            return "\(keyHeads) heads of keys and values"
        }
        if let width = experts?.intermediateSize, !width.isMultiple(of: rankCount) {
            return "experts of \(width)"
        }
        return vocabularyCount < 8 * rankCount ? "a vocabulary of \(vocabularyCount)" : nil
    }
}
