/// Which tokens may be chosen, how likely, and which end an answer; within its limits, ids at least zero.
package struct TokenRules: Hashable, Sendable {
    /// The only ones that may be chosen, rising; nil for all.
    package private(set) var allowedIDs: [Int32]?
    /// Tokens whose logits are changed.
    package private(set) var biasedIDs: [Int32] = []
    /// What is added to each.
    package private(set) var biases: [Float] = []
    /// Tokens that end an answer beside the model's own, and are no part of it.
    package private(set) var stopIDs: [Int32] = []
    /// Tokens one after another that end an answer and are part of it.
    package private(set) var stopSequences: [[Int32]] = []

    /// The most allowed tokens.
    package static let maxAllowedCount = 256
    /// The most biases.
    package static let maxBiasCount = 300
    /// The most stop tokens.
    package static let maxStopCount = 256
    /// The most sequences.
    package static let maxSequenceCount = 10
    /// The most tokens of a sequence.
    package static let maxSequenceLength = 256

    /// None.
    package init() {}

    /// Checks what can be checked without the vocabulary; an empty `allowedIDs` allows all.
    package init(
        allowedIDs: [Int] = [], biases: [Int: Double] = [:], stopIDs: [Int] = [], stopSequences: [[Int]] = [],
    ) throws(SamplingError) {
        guard allowedIDs.count <= Self.maxAllowedCount else {
            throw .init("allowed_token_ids", "must have at most \(Self.maxAllowedCount) ids")
        }
        guard biases.count <= Self.maxBiasCount else {
            throw .init("logit_bias", "must have at most \(Self.maxBiasCount) ids")
        }
        guard stopIDs.count <= Self.maxStopCount else {
            throw .init("stop_token_ids", "must have at most \(Self.maxStopCount) ids")
        }
        guard stopSequences.count <= Self.maxSequenceCount,
            stopSequences.allSatisfy({ (1...Self.maxSequenceLength).contains($0.count) })
        else {
            throw .init(
                "stop_sequences",
                "must have at most \(Self.maxSequenceCount) sequences of 1 to \(Self.maxSequenceLength) ids")
        }
        // NaN fails the comparison.
        guard biases.values.allSatisfy({ $0 >= -100 && $0 <= 100 }) else {
            throw .init("logit_bias", "must have biases from -100 to 100")
        }
        if !allowedIDs.isEmpty {
            self.allowedIDs = Set(try Self.ids(allowedIDs, "allowed_token_ids")).sorted()
        }
        let ordered = biases.sorted { $0.key < $1.key }
        biasedIDs = try Self.ids(ordered.map(\.key), "logit_bias")
        self.biases = ordered.map { Float($0.value) }
        self.stopIDs = try Self.ids(stopIDs, "stop_token_ids")
        for sequence in stopSequences {
            self.stopSequences.append(try Self.ids(sequence, "stop_sequences"))
        }
    }

    private static func ids(_ values: [Int], _ parameter: String) throws(SamplingError) -> [Int32] {
        let ids = values.compactMap { $0 >= 0 ? Int32(exactly: $0) : nil }
        guard ids.count == values.count else { throw .init(parameter, idRequirement) }
        return ids
    }

    private static let idRequirement = "must have ids of the vocabulary"

    /// Throws for an id that is none of the first `vocabularyCount`.
    func check(vocabularyCount: Int) throws(SamplingError) {
        let lists = [
            ("allowed_token_ids", allowedIDs ?? []), ("logit_bias", biasedIDs), ("stop_token_ids", stopIDs),
            ("stop_sequences", stopSequences.flatMap(\.self)),
        ]
        for (parameter, ids) in lists where ids.contains(where: { $0 >= vocabularyCount }) {
            throw .init(parameter, Self.idRequirement)
        }
    }
}
