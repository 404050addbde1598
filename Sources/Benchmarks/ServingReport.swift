import JSON

/// What a load on a server came to: the figures and the table of vLLM's `bench serve`, which others print too.
package struct ServingReport: Sendable {
    private let requests: [RequestTimes]
    private let failedCount: Int
    private let seconds: Double
    /// Bounds in seconds that a request must keep to count for the goodput; nil for no bound.
    private let objectives: Objectives

    /// Bounds on a request's times, in seconds.
    package struct Objectives: Sendable, Hashable {
        package var timeToFirstToken: Double?
        package var timePerOutputToken: Double?
        package var latency: Double?

        /// No bounds unless told.
        package init(
            timeToFirstToken: Double? = nil, timePerOutputToken: Double? = nil, latency: Double? = nil,
        ) {
            self.timeToFirstToken = timeToFirstToken
            self.timePerOutputToken = timePerOutputToken
            self.latency = latency
        }

        var isEmpty: Bool { timeToFirstToken == nil && timePerOutputToken == nil && latency == nil }
    }

    /// Takes all requests of a run of `seconds`.
    package init(_ requests: [RequestTimes], seconds: Double, objectives: Objectives = Objectives()) {
        self.requests = requests.filter { $0.completed != nil }
        failedCount = requests.count - self.requests.count
        self.seconds = max(seconds, 1e-9)
        self.objectives = objectives
    }

    private var inputTokens: Int { requests.reduce(0) { $0 + $1.promptTokens } }
    private var outputTokens: Int { requests.reduce(0) { $0 + $1.outputTokens } }

    /// The figures by name, in the table's order.
    private var figures: [(name: String, key: String, value: Double)] {
        var figures: [(String, String, Double)] = [
            ("Successful requests", "completed", Double(requests.count)),
            ("Failed requests", "failed", Double(failedCount)),
            ("Benchmark duration (s)", "duration", seconds),
            ("Total input tokens", "total_input_tokens", Double(inputTokens)),
            ("Total generated tokens", "total_output_tokens", Double(outputTokens)),
            ("Request throughput (req/s)", "request_throughput", Double(requests.count) / seconds),
        ]
        if !objectives.isEmpty {
            let good = Double(requests.count(where: meetsObjectives)) / seconds
            figures.append(("Request goodput (req/s)", "request_goodput", good))
        }
        return figures + [
            ("Output token throughput (tok/s)", "output_throughput", Double(outputTokens) / seconds),
            ("Peak output token throughput (tok/s)", "max_output_tokens_per_s", peakOutputRate),
            ("Peak concurrent requests", "max_concurrent_requests", Double(peakConcurrency)),
            (
                "Total token throughput (tok/s)", "total_token_throughput",
                Double(inputTokens + outputTokens) / seconds
            ),
        ]
    }

    /// The distributions by name, in seconds, in the table's order.
    private var distributions: [(name: String, key: String, values: Distribution)] {
        [
            ("Time to First Token", "ttft", Distribution(requests.compactMap(\.timeToFirstToken))),
            (
                "Time per Output Token (excl. 1st token)", "tpot",
                Distribution(requests.compactMap(\.timePerOutputToken))
            ),
            ("Inter-token Latency", "itl", Distribution(requests.flatMap(\.interTokenLatencies))),
            ("End-to-end Latency", "e2el", Distribution(requests.compactMap(\.latency))),
        ]
    }

    private func meetsObjectives(_ request: RequestTimes) -> Bool {
        func keeps(_ value: Double?, _ bound: Double?) -> Bool { bound.map { (value ?? 0) <= $0 } ?? true }
        return keeps(request.timeToFirstToken, objectives.timeToFirstToken)
            && keeps(request.timePerOutputToken, objectives.timePerOutputToken)
            && keeps(request.latency, objectives.latency)
    }

    /// The most pieces of one second.
    private var peakOutputRate: Double {
        var buckets: [Int: Int] = [:]
        for time in requests.flatMap(\.pieces) { buckets[Int(time), default: 0] += 1 }
        return Double(buckets.values.max() ?? 0)
    }

    /// The most requests under way at one moment.
    private var peakConcurrency: Int {
        let starts = requests.map { ($0.sent, 1) }
        let ends = requests.compactMap { request in request.completed.map { ($0, -1) } }
        var (count, most) = (0, 0)
        for (_, change) in (starts + ends).sorted(by: { ($0.0, $0.1) < ($1.0, $1.1) }) {
            count += change
            most = max(most, count)
        }
        return most
    }

    /// The table, a line an element.
    package var lines: [String] {
        var lines = [Self.rule(" Serving Benchmark Result ", "=")]
        lines += figures.map { Self.row($0.name + ":", $0.value) }
        for (name, key, values) in distributions {
            lines.append(Self.rule(name, "-"))
            let short = key.uppercased()
            lines.append(Self.row("Mean \(short) (ms):", values.mean * 1000))
            lines.append(Self.row("Median \(short) (ms):", values.median * 1000))
            lines.append(Self.row("P99 \(short) (ms):", values.percentile(99) * 1000))
        }
        return lines + [Self.rule("", "=")]
    }

    /// The same as one line of JSON; times in milliseconds.
    package var json: String {
        String(
            decoding: JSONWriter.bytes { json in
                json.object { json in
                    for (_, key, value) in figures {
                        json.key(key)
                        json.number(value)
                    }
                    for (_, key, values) in distributions {
                        let named = [
                            ("mean", values.mean), ("median", values.median), ("p90", values.percentile(90)),
                            ("p99", values.percentile(99)),
                        ]
                        for (name, value) in named {
                            json.key("\(name)_\(key)_ms")
                            json.number(value * 1000)
                        }
                    }
                }
            }, as: UTF8.self)
    }

    private static func row(_ name: String, _ value: Double) -> String {
        let number = value == value.rounded() && value < 1e15 ? "\(Int(value))" : Decimals.two(value)
        return name + String(repeating: " ", count: max(1, 50 - name.count - number.count)) + number
    }

    private static func rule(_ text: String, _ mark: String) -> String {
        let left = max(0, 50 - text.count) / 2
        return String(repeating: mark, count: left) + text
            + String(repeating: mark, count: max(0, 50 - text.count - left))
    }
}

/// Numbers as text.
package enum Decimals {
    /// With two places.
    package static func two(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
        let hundredths = Int((abs(value) * 100).rounded())
        let rest = hundredths % 100
        return "\(value < 0 ? "-" : "")\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}
