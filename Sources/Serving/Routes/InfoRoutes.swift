import Engine
import HTTPTypes
import JSON

/// LightLLM's routes that say what runs here and how busy it is.
struct InfoRoutes: Sendable {
    let engine: Engine
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
    /// LightLLM gives the second number under two names, too.
    @Sendable private func load(_ exchange: Exchange) -> Reply {
        let now = engine.statistics()
        let most = part(now.promisedTokens, now)
        return Reply(
            JSONWriter.bytes { json in
                json.object { json in
                    json.member("current_load", part(now.usedPages * now.pageSize, now))
                    json.member("logical_max_load", most)
                    json.member("dynamic_max_load", most)
                }
            })
    }

    private func part(_ tokenCount: Int, _ statistics: EngineStatistics) -> Float {
        Float(tokenCount) / Float(max(1, statistics.totalPages * statistics.pageSize))
    }
}
