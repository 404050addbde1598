/// When the parts of one answer came, in seconds from the start of the benchmark.
package struct RequestTimes: Sendable, Hashable {
    /// When the request was sent.
    package var sent: Double
    /// When each token, or piece of text, came.
    package var pieces: [Double] = []
    /// When the answer was complete; nil when it failed.
    package var completed: Double?
    /// Tokens of the prompt, image tokens among them.
    package var promptTokens = 0
    /// Tokens of the answer.
    package var outputTokens = 0

    /// A request sent at `sent`.
    package init(sent: Double) { self.sent = sent }

    /// TTFT: from sending to the first piece.
    package var timeToFirstToken: Double? { pieces.first.map { $0 - sent } }
    /// TPOT: the mean time of a token after the first; nil for answers of one token.
    package var timePerOutputToken: Double? {
        guard let latency, let first = timeToFirstToken, outputTokens > 1 else { return nil }
        return (latency - first) / Double(outputTokens - 1)
    }
    /// ITL: the times between pieces.
    package var interTokenLatencies: [Double] { zip(pieces, pieces.dropFirst()).map { $1 - $0 } }
    /// E2EL: from sending to the end.
    package var latency: Double? { completed.map { $0 - sent } }
}
