import Engine

/// Counters and gauges for Prometheus.
struct MetricsRoutes: Sendable {
    let engine: Replicas
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
        let replicas = engine.statisticsOfEach()
        text.write(EngineStatistics(sumOf: replicas))
        if replicas.count > 1 { text.write(replicas) }
        return Reply(type: MediaTypeName.prometheus, Array(text.text.utf8))
    }
}
