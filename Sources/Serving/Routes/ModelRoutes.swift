import JSON

/// Which model is served.
struct ModelRoutes: Sendable {
    let modelName: String
    let maxSequenceLength: Int
    /// When the server started, in seconds since 1970.
    let created: Int

    /// The routes.
    var routes: [Route] { [.get(.models, models)] }

    /// Throws when a request asks for another model.
    static func check(_ name: String?, served: String) throws(ServingError) {
        // "default" is the name LightLLM gives to a model that has none.
        guard let name, name != served, name != "default" else { return }
        throw .unknownModel
    }

    @Sendable private func models(_ exchange: Exchange) -> Reply {
        Reply(
            JSONWriter.bytes { json in
                json.object { json in
                    json.member("object", "list")
                    json.array(
                        "data",
                        { json in
                            json.object { json in
                                json.member("id", modelName)
                                json.member("object", "model")
                                json.member("created", created)
                                json.member("owned_by", "vireo")
                                json.member("max_model_len", maxSequenceLength)
                            }
                        })
                }
            })
    }
}
