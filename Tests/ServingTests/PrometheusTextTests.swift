import Engine
import Testing

@testable import Serving

/// The exposition text.
struct PrometheusTextTests {
    @Test func `a histogram is cumulative`() {
        var histogram = Histogram(bounds: [0.5, 1])
        for value in [0.25, 0.5, 0.75, 9] { histogram.observe(value) }
        var text = PrometheusText()
        text.histogram("h", [("route", "/x")], histogram)
        #expect(
            text.text == """
                h_bucket{route="/x",le="0.5"} 2
                h_bucket{route="/x",le="1.0"} 3
                h_bucket{route="/x",le="+Inf"} 4
                h_sum{route="/x"} 10.5
                h_count{route="/x"} 4

                """)
    }

    @Test func `labels are escaped`() {
        var text = PrometheusText()
        text.sample("m", [("a", "x\"y\\z\n")], 1)
        #expect(text.text == "m{a=\"x\\\"y\\\\z\\n\"} 1\n")
    }

    @Test func `every family has its type and is written once`() {
        let metrics = ServingMetrics()
        metrics.begin()
        metrics.end(.generate, status: 200, seconds: 0.2)
        metrics.begin()
        metrics.end(.unknown, status: 404, seconds: 0.001)
        var text = PrometheusText()
        text.write(metrics.snapshot)
        var statistics = EngineStatistics()
        statistics.sharedImages = SharedImageStatistics()
        statistics.sharedImages?.hits = 3
        statistics.sharedImages?.health.isWritingPaused = true
        text.write(statistics)
        let lines = text.text.split(separator: "\n")
        let types = lines.filter { $0.hasPrefix("# TYPE ") }.map { $0.split(separator: " ")[2] }
        #expect(Set(types).count == types.count)
        #expect(lines.contains(#"vireo_requests_total{route="/generate",status="200"} 1"#))
        #expect(lines.contains(#"vireo_requests_total{route="unknown",status="404"} 1"#))
        #expect(lines.contains("vireo_requests_in_flight 0"))
        #expect(lines.contains("vireo_image_cache_hits_total 0"))
        #expect(lines.contains("vireo_shared_image_cache_hits_total 3"))
        #expect(lines.contains(#"vireo_shared_image_cache_paused{for="reads"} 0"#))
        #expect(lines.contains(#"vireo_shared_image_cache_paused{for="writes"} 1"#))
        #expect(text.text.hasSuffix("\n"))
    }
}
