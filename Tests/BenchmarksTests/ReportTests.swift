import Benchmarks
import JSON
import Testing

/// The figures of a load, from times worked out by hand.
struct ReportTests {
    private func request(_ sent: Double, _ pieces: [Double], _ completed: Double?) -> RequestTimes {
        var times = RequestTimes(sent: sent)
        times.pieces = pieces
        times.completed = completed
        times.promptTokens = 100
        times.outputTokens = pieces.count
        return times
    }

    @Test func `times of a request are as the field defines them`() {
        let times = request(1, [1.5, 2, 3], 3.5)
        #expect(
            times.timeToFirstToken == 0.5 && times.latency == 2.5 && times.interTokenLatencies == [0.5, 1])
        #expect(times.timePerOutputToken == 1)
        #expect(request(1, [2], 2).timePerOutputToken == nil)
    }

    @Test func `percentiles lie between neighbours in proportion`() {
        let values = Distribution([4, 1, 3, 2])
        #expect(values.mean == 2.5 && values.median == 2.5 && values.percentile(0) == 1)
        #expect(values.percentile(100) == 4 && values.percentile(75) == 3.25)
        #expect(Distribution([]).median == 0)
    }

    @Test func `throughput counts what succeeded`() throws {
        let report = ServingReport(
            [request(0, [0.5, 1], 1), request(0.5, [1.5, 2.5], 3), request(0, [], nil)], seconds: 4,
            objectives: ServingReport.Objectives(timeToFirstToken: 0.75))
        let json = try JSONValue(reading: Array(report.json.utf8))
        let expected: [(String, Double)] = [
            ("completed", 2), ("failed", 1), ("total_input_tokens", 200), ("total_output_tokens", 4),
            ("request_throughput", 0.5), ("request_goodput", 0.25), ("output_throughput", 1),
            ("max_output_tokens_per_s", 2), ("max_concurrent_requests", 2), ("total_token_throughput", 51),
            ("mean_ttft_ms", 750), ("mean_tpot_ms", 1000), ("median_itl_ms", 750), ("mean_e2el_ms", 1750),
        ]
        for (key, value) in expected { #expect(json[key].double == value, "\(key)") }
        #expect(report.lines.contains { $0.hasPrefix("Request goodput (req/s):") && $0.hasSuffix("0.25") })
    }

    @Test func `events are cut whatever the pieces they come in`() {
        let stream = Array("data: {\"a\":1}\n\n: comment\n\ndata:{\"b\":2}\n\ndata: [DONE]\n\n".utf8)
        for size in 1...stream.count {
            var reader = EventReader()
            var events: [String] = []
            for start in stride(from: 0, to: stream.count, by: size) {
                events += reader.append(stream[start..<min(start + size, stream.count)])
                    .map { String(decoding: $0, as: UTF8.self) }
            }
            #expect(events == ["{\"a\":1}", "{\"b\":2}", "[DONE]"])
        }
    }
}
