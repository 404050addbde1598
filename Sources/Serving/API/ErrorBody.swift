import JSON

/// Which API's manners a reply follows.
enum Dialect: Sendable, Hashable {
    /// LightLLM's: names of exception classes, numeric codes.
    case native
    /// OpenAI's: types and words.
    case openAI

    /// The manners under a path.
    init(path: some StringProtocol) { self = path.hasPrefix("/v1/") ? .openAI : .native }
}

/// The body of an error: `{"error":{"message","type","param","code"}}`.
enum ErrorBody {
    /// The JSON of `error` as `dialect` has it.
    static func json(_ error: ServingError, dialect: Dialect) -> [UInt8] {
        JSONWriter.bytes { json in
            json.object { json in
                json.object("error") { json in
                    json.member("message", error.message)
                    json.member("type", type(status: error.status, dialect: dialect))
                    json.member("param", error.param)
                    switch dialect {
                    case .native: json.member("code", error.status)
                    case .openAI: json.member("code", error.code)
                    }
                }
            }
        }
    }

    private static func type(status: Int, dialect: Dialect) -> String {
        switch (dialect, status) {
        case (.native, 401): "AuthenticationError"
        case (.native, 404): "NotFoundError"
        case (.native, 429): "RateLimitError"
        case (.native, 500...): "InternalServerError"
        case (.native, _): "BadRequestError"
        case (.openAI, 401): "authentication_error"
        case (.openAI, 429): "rate_limit_error"
        case (.openAI, 500...): "server_error"
        case (.openAI, _): "invalid_request_error"
        }
    }
}
