import JSON
import SharedCache

extension Serve {
    /// All flags with their values, for `/get_server_info`: no key, and no file of one.
    var startArguments: JSONObject {
        var all = JSONObject()
        for (name, value) in model.startArguments + engine.startArguments + http.startArguments {
            all.set(name, value)
        }
        for (name, value) in access.startArguments + sharing.startArguments { all.set(name, value) }
        return all
    }
}

extension ModelOptions {
    fileprivate var startArguments: [(String, JSONValue)] {
        [
            ("model_dir", .string(modelFolder)), ("data_type", .string(dataType)),
            ("quant_type", .string(quantType)),
            ("load_format", .string(loadFormat)), ("chat_template", text(chatTemplate)),
            ("tokenizer_mode", .string(tokenizerMode)), ("eos_id", .array(endIDs.map(JSONValue.int))),
            ("max_tiles", number(maxTiles)), ("max_image_token_count", number(maxImageTokens)),
            ("threads", number(device.threads)), ("device", .string("\(device.device)")),
            ("gpu_ids", .array((device.gpus?.numbers ?? []).map(JSONValue.int))),
            ("visual_gpu_ids", .array((device.visualGPUs?.numbers ?? []).map(JSONValue.int))),
            ("rank_transport", .string(device.transport.rawValue)),
            ("cuda_libraries", text(device.libraryFolder)),
            ("trust_remote_code", .bool(trustsRemoteCode)), ("tp", .int(parallel.ranks)),
            ("dp", .int(parallel.replicas)),
            ("visual_dp", .int(parallel.towers)), ("visual_tp", .int(parallel.ranksPerTower)),
            ("nnodes", .int(parallel.nodes)), ("node_rank", .int(parallel.nodeRank)),
            ("nccl_host", .string(parallel.nodeHost)), ("nccl_port", .int(parallel.nodePort)),
        ]
    }
}

extension EngineOptions {
    fileprivate var startArguments: [(String, JSONValue)] {
        [
            ("mem_fraction", .double(memoryFraction)), ("max_total_token_num", number(totalTokens)),
            ("max_req_total_len", number(sequenceLength)), ("running_max_req_size", .int(runningRequests)),
            ("max_queue_size", .int(queuedRequests)), ("batch_max_tokens", number(tokensPerStep)),
            ("chunked_prefill_size", number(chunkSize)),
            ("disable_dynamic_prompt_cache", .bool(disablesPrefixCache)),
            ("cache_capacity", .int(imageCapacity)),
            ("embed_cache_storage_size", .double(imageCacheGigabytes)),
            ("visual_infer_batch_size", number(tilesPerStep)),
        ]
    }
}

extension HTTPOptions {
    fileprivate var startArguments: [(String, JSONValue)] {
        [
            ("host", .string(host)), ("port", .int(port)), ("model_name", text(modelName)),
            ("max_images", .int(maxImages)), ("max_image_pixels", .int(maxImagePixels)),
            ("max_body_bytes", .int(maxBodyBytes)), ("image_url_timeout", .double(fetchSeconds)),
            ("image_url_ca", text(authoritiesFile)), ("allow_private_urls", .bool(allowsPrivateURLs)),
            ("shutdown_timeout", .double(drainSeconds)), ("health_timeout", .double(stallSeconds)),
        ]
    }
}

extension SharedCacheOptions {
    fileprivate var startArguments: [(String, JSONValue)] {
        // Without user and password.
        let address = (try? address()).flatMap { $0 }
        return [
            ("cache_redis_url", text(address.map { "redis://\($0.shown)" })),
            ("cache_redis_ttl", .int(lifetimeSeconds)),
        ]
    }
}

extension AccessOptions {
    fileprivate var startArguments: [(String, JSONValue)] {
        [("cors_origins", .array(origins.map(JSONValue.string))), ("tls_cert", text(certificateFile))]
    }
}

private func text(_ value: String?) -> JSONValue { value.map(JSONValue.string) ?? .null }

private func number(_ value: Int?) -> JSONValue { value.map(JSONValue.int) ?? .null }
