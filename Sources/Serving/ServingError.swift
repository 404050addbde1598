import Engine
import Images
import JSON
import Prompts
import Scheduling

/// Why a request gets no answer, as its client is told.
///
/// Messages are fixed texts: nothing of a request is in them.
struct ServingError: Error, Hashable, Sendable {
    /// The HTTP status.
    let status: Int
    /// A sentence for the client.
    let message: String
    /// The field of the request at fault.
    var param: String?
    /// A word for programs, where there is more to say than the status does (OpenAI's bodies only).
    var code: String?
    /// When to try again, in seconds.
    var retryAfter: Int?
    /// The methods that a route has.
    var allow: String?

    private init(_ status: Int, _ message: String) {
        self.status = status
        self.message = message
    }

    /// 400 for a field, or for the request as a whole.
    static func badRequest(_ message: String, param: String? = nil) -> ServingError {
        var error = ServingError(400, message)
        error.param = param
        return error
    }

    /// 401 for a request without a key, or with a wrong one.
    static let unauthorized: ServingError = {
        var error = ServingError(401, "the request needs a valid API key: Authorization: Bearer KEY")
        error.code = "invalid_api_key"
        return error
    }()

    /// 404 for a path without a route.
    static let unknownRoute = ServingError(404, "there is no such route")

    /// 404 for another model's name.
    static let unknownModel: ServingError = {
        var error = ServingError(404, "the model does not exist; GET /v1/models names the one that is served")
        error.param = "model"
        error.code = "model_not_found"
        return error
    }()

    /// 405 for a method that a route does not have.
    static func methodNotAllowed(allow: String) -> ServingError {
        var error = ServingError(405, "the route does not have this method")
        error.allow = allow
        return error
    }

    /// 408 for a client that is too slow.
    static let requestTimeout = ServingError(408, "the request did not arrive in time")

    /// 413 for a body over the limit.
    static func bodyTooLarge(limit: Int) -> ServingError {
        ServingError(413, "the body may have at most \(limit) bytes")
    }

    /// 415 for a body of another type.
    static let notJSON = ServingError(415, "the body must be application/json in UTF-8")

    /// 415 for a compressed body.
    static let encodedBody = ServingError(415, "the body must be sent without a Content-Encoding")

    /// 431 for too many or too long header fields.
    static let headersTooLarge = ServingError(431, "the header fields are too large")

    /// 400 for what is not HTTP.
    static let malformedHTTP = ServingError(400, "the request is not valid HTTP/1.1")

    /// 429 when as many requests are served or wait as may.
    static let tooManyRequests: ServingError = {
        var error = ServingError(429, "the server is busy; try again later")
        error.retryAfter = 1
        return error
    }()

    /// 503 when the bodies in flight need all the memory they may have.
    static let outOfBodyMemory: ServingError = {
        var error = ServingError(503, "the server has too many large requests in flight; try again later")
        error.retryAfter = 1
        return error
    }()

    /// 503 while the server stops.
    static let shuttingDown: ServingError = {
        var error = ServingError(503, "the server is shutting down")
        error.retryAfter = 5
        return error
    }()

    /// 503 when the device has failed for good: the server is about to end.
    static let deviceFailed: ServingError = {
        var error = ServingError(503, "the device has failed; the server ends")
        error.retryAfter = 5
        return error
    }()

    /// 500 for what is the server's fault.
    static let failed = ServingError(500, "the server failed to answer the request")

    /// 499 for a client that left: logged and counted, never sent.
    static let clientClosed = ServingError(499, "the client closed the connection")
}

extension ServingError {
    /// 400 for JSON that is none; `fields` are the names that may be told.
    init(_ error: JSONError, fields: Set<String>) {
        self = .badRequest(error.message, param: error.key.flatMap { fields.contains($0) ? $0 : nil })
    }

    /// 400 for a picture.
    init(_ error: ImageError, param: String) {
        self = .badRequest(error.message, param: param)
    }

    /// 400 for a prompt.
    init(_ error: PromptError, param: String) {
        self = .badRequest(error.message, param: param)
    }

    /// 400 for a parameter; `param` is its path in this API.
    init(_ error: SamplingError, param: String) {
        self = .badRequest("\(param) \(error.requirement)", param: param)
    }

    /// The status for a request that the engine does not take.
    init(_ error: AdmissionError, promptParam: String, imageParam: String) {
        self =
            switch error {
            case .emptyPrompt: .badRequest("the prompt is empty", param: promptParam)
            case .promptTooLong(let count, let limit):
                .badRequest(
                    "the prompt has \(count) tokens, and with an answer at most \(limit) fit",
                    param: promptParam)
            case .tooManyImages(let count, let limit):
                .badRequest(
                    "the request has \(count) images; at most \(limit) are accepted", param: imageParam)
            case .tooManyImageTokens(let count, let limit):
                .badRequest(
                    "the images become \(count) tokens; at most \(limit) are accepted", param: imageParam)
            case .sampling(let error): ServingError(error, param: error.parameter)
            case .queueFull: .tooManyRequests
            case .shuttingDown: .shuttingDown
            case .deviceFailed: .deviceFailed
            }
    }
}
