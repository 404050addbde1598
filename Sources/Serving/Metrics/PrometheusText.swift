import Engine

/// Writes metrics in Prometheus' text format, version 0.0.4.
struct PrometheusText {
    private(set) var text = ""

    /// A counter or gauge with one value.
    mutating func single(_ name: String, _ type: String, _ help: String, _ value: some BinaryInteger) {
        head(name, type, help)
        text += "\(name) \(value)\n"
    }

    /// The lines above a metric's samples.
    mutating func head(_ name: String, _ type: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    /// One sample; the values of labels are ours or escaped.
    mutating func sample(_ name: String, _ labels: [(String, String)], _ value: some CustomStringConvertible)
    {
        text += name
        if !labels.isEmpty {
            text += "{" + labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",") + "}"
        }
        text += " \(value)\n"
    }

    /// The samples of a histogram.
    mutating func histogram(_ name: String, _ labels: [(String, String)], _ histogram: Histogram) {
        var total: UInt64 = 0
        for (index, count) in histogram.counts.enumerated() {
            total += count
            let bound = index < histogram.bounds.count ? "\(histogram.bounds[index])" : "+Inf"
            sample("\(name)_bucket", labels + [("le", bound)], total)
        }
        sample("\(name)_sum", labels, histogram.sum)
        sample("\(name)_count", labels, total)
    }

    private static func escaped(_ value: String) -> String {
        var escaped = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\"": escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}

extension PrometheusText {
    /// What the HTTP side counts.
    mutating func write(_ snapshot: ServingMetrics.Snapshot) {
        head("vireo_requests_total", "counter", "Requests that ended, by route and status.")
        for route in RouteName.allCases {
            for (status, count) in (snapshot.requests[route] ?? [:]).sorted(by: { $0.key < $1.key }) {
                sample("vireo_requests_total", [("route", route.rawValue), ("status", "\(status)")], count)
            }
        }
        single(
            "vireo_requests_in_flight", "gauge", "Requests that are being answered.",
            snapshot.requestsInFlight)
        head(
            "vireo_request_duration_seconds", "histogram", "From a request's header to the end of its answer."
        )
        for route in RouteName.allCases {
            guard let durations = snapshot.requestSeconds[route] else { continue }
            histogram("vireo_request_duration_seconds", [("route", route.rawValue)], durations)
        }
        head("vireo_time_to_first_token_seconds", "histogram", "From a request's header to its first token.")
        histogram("vireo_time_to_first_token_seconds", [], snapshot.firstTokenSeconds)
        head(
            "vireo_time_per_output_token_seconds", "histogram", "Mean of an answer's tokens after the first.")
        histogram("vireo_time_per_output_token_seconds", [], snapshot.outputTokenSeconds)
    }

    /// What the engine counts.
    mutating func write(_ engine: EngineStatistics) {
        single(
            "vireo_engine_requests_submitted_total", "counter", "Requests taken.", engine.requestsSubmitted)
        single(
            "vireo_engine_requests_finished_total", "counter", "Requests answered.", engine.requestsFinished)
        single(
            "vireo_engine_requests_cancelled_total", "counter", "Requests cancelled.",
            engine.requestsCancelled)
        single("vireo_engine_requests_failed_total", "counter", "Requests failed.", engine.requestsFailed)
        single(
            "vireo_engine_preemptions_total", "counter", "Requests put back for want of pages.",
            engine.requestsPreempted)
        single("vireo_prompt_tokens_total", "counter", "Tokens of prompts.", engine.promptTokens)
        single(
            "vireo_cached_prompt_tokens_total", "counter", "Tokens of prompts that were not computed again.",
            engine.cachedPromptTokens)
        single(
            "vireo_kv_evictions_total", "counter", "Kept pages of keys and values put out.",
            engine.pageEvictions)
        single("vireo_generated_tokens_total", "counter", "Tokens of answers.", engine.generatedTokens)
        single("vireo_engine_steps_total", "counter", "Steps of the model.", engine.steps)
        single(
            "vireo_image_cache_hits_total", "counter", "Images whose embeddings were cached.",
            engine.imageCacheHits)
        single(
            "vireo_image_cache_misses_total", "counter", "Images whose embeddings were not cached.",
            engine.imageCacheMisses)
        single(
            "vireo_image_cache_evictions_total", "counter", "Images put out of the cache.",
            engine.imageCacheEvictions)
        single(
            "vireo_images_encoded_total", "counter", "Images the vision tower encoded.", engine.imagesEncoded)
        single(
            "vireo_image_tiles_encoded_total", "counter", "Tiles the vision tower encoded.",
            engine.tilesEncoded)
        single("vireo_requests_running", "gauge", "Requests in the engine's batch.", engine.runningRequests)
        single("vireo_requests_waiting", "gauge", "Requests in the engine's queue.", engine.waitingRequests)
        single("vireo_kv_pages_used", "gauge", "Pages of keys and values in use.", engine.usedPages)
        single(
            "vireo_kv_pages_kept", "gauge", "Pages kept for prompts that begin alike, in use or not.",
            engine.keptPages)
        single("vireo_kv_pages", "gauge", "Pages of keys and values.", engine.totalPages)
        single("vireo_kv_page_tokens", "gauge", "Tokens a page holds.", engine.pageSize)
        single("vireo_image_cache_entries", "gauge", "Cached images.", engine.cachedImages)
        single("vireo_image_cache_capacity", "gauge", "Images the cache can hold.", engine.imageCacheCapacity)
        single(
            "vireo_image_cache_referenced", "gauge", "Cached images a request needs.", engine.referencedImages
        )
        single("vireo_image_cache_bytes", "gauge", "Bytes of cached embeddings.", engine.imageCacheBytes)
        if let shared = engine.sharedImages { write(shared) }
    }

    /// What tells how requests are shared out among several replicas.
    mutating func write(_ replicas: [EngineStatistics]) {
        replica("requests_submitted_total", "counter", "Requests taken", replicas.map(\.requestsSubmitted))
        replica("prompt_tokens_total", "counter", "Tokens of prompts", replicas.map(\.promptTokens))
        replica(
            "cached_prompt_tokens_total", "counter", "Tokens of prompts that were not computed again",
            replicas.map(\.cachedPromptTokens))
        replica("generated_tokens_total", "counter", "Tokens of answers", replicas.map(\.generatedTokens))
        replica(
            "images_encoded_total", "counter", "Images the vision tower encoded",
            replicas.map(\.imagesEncoded))
        replica("requests_running", "gauge", "Requests in the batch", replicas.map(\.runningRequests))
        replica("requests_waiting", "gauge", "Requests in the queue", replicas.map(\.waitingRequests))
        replica("kv_pages_used", "gauge", "Pages of keys and values in use", replicas.map(\.usedPages))
    }

    private mutating func replica(_ name: String, _ type: String, _ help: String, _ values: [Int]) {
        head("vireo_replica_\(name)", type, "\(help), by replica.")
        for (index, value) in values.enumerated() {
            sample("vireo_replica_\(name)", [("replica", "\(index)")], value)
        }
    }

    /// What came of sharing embeddings with other replicas.
    private mutating func write(_ shared: SharedImageStatistics) {
        single(
            "vireo_shared_image_cache_hits_total", "counter", "Images whose embeddings a replica had left.",
            shared.hits)
        single(
            "vireo_shared_image_cache_misses_total", "counter",
            "Images asked for in the shared cache and not found.", shared.misses)
        single(
            "vireo_shared_image_cache_unsound_total", "counter",
            "Values in the shared cache that were not the embeddings they should be.", shared.unsound)
        single(
            "vireo_shared_image_cache_puts_total", "counter", "Images left in the shared cache.", shared.puts)
        single(
            "vireo_shared_image_cache_dropped_puts_total", "counter",
            "Images that were to be left there and were not.", shared.droppedPuts)
        single(
            "vireo_shared_image_cache_errors_total", "counter",
            "Commands to the shared cache that failed or were late.", shared.health.errors)
        let name = "vireo_shared_image_cache_paused"
        head(name, "gauge", "Whether the shared cache is left alone for a while, as it failed.")
        sample(name, [("for", "reads")], shared.health.isReadingPaused ? 1 : 0)
        sample(name, [("for", "writes")], shared.health.isWritingPaused ? 1 : 0)
    }
}
