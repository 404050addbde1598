import Engine
import HTTPTypes
import JSON

/// LightLLM's routes that say what runs here and how busy it is.
struct InfoRoutes: Sendable {
    let engine: Replicas
    let modelName: String
    /// Without keys.
    let startArguments: JSONObject

    /// The routes.
    var routes: [Route] {
        [
            Route(name: .modelName, methods: [.get, .post]) { [modelName] _ in
                Reply(JSONWriter.bytes { $0.object { $0.member("model_name", modelName) } })
            },
            Route(name: .serverInfo, methods: [.get, .post]) { [startArguments] _ in
                Reply(JSONWriter.bytes { $0.value(.object(startArguments)) })
            },
            .get(.tokenLoad, load),
        ]
    }

    /// Parts of the cache: what requests take now, and what those that run take at most.
    ///
    /// LightLLM gives the second number under two names, too, and lists where there are several replicas.
    @Sendable private func load(_ exchange: Exchange) -> Reply {
        let replicas = engine.statisticsOfEach()
        let now = replicas.map { part($0.usedPages * $0.pageSize, $0) }
        let most = replicas.map { part($0.promisedTokens, $0) }
        return Reply(
            JSONWriter.bytes { json in
                json.object { json in
                    for (name, parts) in [
                        ("current_load", now), ("logical_max_load", most), ("dynamic_max_load", most),
                    ] {
                        guard parts.count > 1 else {
                            json.member(name, parts[0])
                            continue
                        }
                        json.array(name) { json in for part in parts { json.number(part) } }
                    }
                }
            })
    }

    private func part(_ tokenCount: Int, _ statistics: EngineStatistics) -> Float {
        Float(tokenCount) / Float(max(1, statistics.totalPages * statistics.pageSize))
    }
}
