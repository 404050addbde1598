import HTTPTypes
import Hummingbird
import Logging
import NIOHTTP1

/// Answers every request: finds its route, turns errors into bodies, counts and logs.
struct Responder: HTTPResponder {
    typealias Context = ClientConnection

    private let routes: [String: Route]
    private let access: AccessRules
    private let metrics: ServingMetrics
    private let logger: Logger

    init(routes: [Route], access: AccessRules, metrics: ServingMetrics, logger: Logger) {
        self.routes = Dictionary(routes.map { ($0.name.rawValue, $0) }) { first, _ in first }
        self.access = access
        self.metrics = metrics
        self.logger = logger
    }

    func respond(to request: Request, context: ClientConnection) async throws -> Response {
        let path = request.uri.path
        let route = routes[path]
        let record = RequestRecord(
            id: RequestName.sanitized(request.headers[.requestID]), route: route?.name ?? .unknown,
            metrics: metrics, logger: logger)
        let exchange = Exchange(request: request, connection: context, record: record)
        var reply: Reply
        do {
            reply = try await answer(exchange, by: route)
        } catch {
            reply = self.reply(to: error, dialect: Dialect(path: path), request: request)
        }
        reply.response.headers[.requestID] = record.id
        access.crossOrigin.mark(&reply.response.headers, for: request.headers)
        if !reply.isStream { record.finish(status: reply.response.status.code) }
        return request.method == .head ? reply.response.createHeadResponse() : reply.response
    }

    private func answer(_ exchange: Exchange, by route: Route?) async throws -> Reply {
        if let reply = access.preflight(exchange.request, route: route) { return reply }
        try access.check(exchange.request, route: route?.name)
        guard let route else { throw ServingError.unknownRoute }
        guard route.methods.contains(exchange.request.method) else {
            throw ServingError.methodNotAllowed(allow: route.methods.map(\.rawValue).joined(separator: ", "))
        }
        return try await route.handler(exchange)
    }

    private func reply(to error: any Error, dialect: Dialect, request: Request) -> Reply {
        let error = servingError(error)
        var reply = Reply(status: error.status, ErrorBody.json(error, dialect: dialect))
        if let seconds = error.retryAfter { reply.response.headers[.retryAfter] = "\(seconds)" }
        if let allow = error.allow { reply.response.headers[.allow] = allow }
        if error.status == 401 { reply.response.headers[.wwwAuthenticate] = "Bearer" }
        if Self.leavesBodyUnread(error, request) { reply.response.headers[.connection] = "close" }
        return reply
    }

    private func servingError(_ error: any Error) -> ServingError {
        switch error {
        case let error as ServingError: return error
        case is HTTPParserError: return .malformedHTTP
        case is CancellationError: return .shuttingDown
        default:
            // The type says where to look; the description might say what was asked.
            logger.error("unexpected error", metadata: ["type": "\(type(of: error))"])
            return .failed
        }
    }

    /// Whether the rest of the body is not worth reading: the connection is then closed.
    private static func leavesBodyUnread(_ error: ServingError, _ request: Request) -> Bool {
        let hasBody =
            request.headers[.transferEncoding] != nil || (request.headers[.contentLength] ?? "0") != "0"
        return switch error.status {
        case 401, 404, 405, 413, 415, 429, 503: hasBody
        default: error == .malformedHTTP
        }
    }
}

extension HTTPField.Name {
    /// `X-Request-Id`.
    static let requestID = HTTPField.Name("X-Request-Id") ?? .server
}
