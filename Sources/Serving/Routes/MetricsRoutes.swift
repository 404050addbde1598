import Engine

/// Counters and gauges for Prometheus.
struct MetricsRoutes: Sendable {
    let engine: Engine
    let metrics: ServingMetrics
    let budget: ByteBudget
    let modelName: String
    let version: String

    /// The routes.
    var routes: [Route] { [.get(.metrics, text)] }

    @Sendable private func text(_ exchange: Exchange) -> Reply {
        var text = PrometheusText()
        text.head("vireo_build_info", "gauge", "The program and its model.")
        text.sample("vireo_build_info", [("version", version), ("model", modelName)], 1)
        text.write(metrics.snapshot)
        text.single(
            "vireo_body_bytes_in_flight", "gauge", "Bytes of bodies being prepared.", budget.usedBytes)
        text.write(engine.statistics())
        return Reply(type: MediaTypeName.prometheus, Array(text.text.utf8))
    }
}
