import HTTPTypes
import Hummingbird

/// A request on its way through a route.
struct Exchange: Sendable {
    let request: Request
    let connection: ClientConnection
    let record: RequestRecord
}

/// What a route gives back.
struct Reply: Sendable {
    var response: Response
    /// Whether the answer goes on after the header: then it finishes the record itself.
    var isStream = false

    /// A complete body.
    init(status: Int = 200, type: String = MediaTypeName.json, _ bytes: [UInt8]) {
        response = Response(
            status: .init(code: status), headers: [.contentType: type],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    /// No body.
    init(fields: HTTPFields) { response = Response(status: .noContent, headers: fields) }

    /// A stream of events that `body` writes.
    init(stream body: @escaping @concurrent @Sendable (inout any ResponseBodyWriter) async throws -> Void) {
        var headers: HTTPFields = [.contentType: MediaTypeName.eventStream, .cacheControl: "no-cache"]
        // Or nginx would collect the events.
        if let name = HTTPField.Name("X-Accel-Buffering") { headers[name] = "no" }
        response = Response(status: .ok, headers: headers, body: ResponseBody(body))
        isStream = true
    }
}

/// A path, its methods and what answers it.
struct Route: Sendable {
    let name: RouteName
    let methods: [HTTPRequest.Method]
    let handler: @Sendable (Exchange) async throws -> Reply

    /// A route for GET and HEAD.
    static func get(_ name: RouteName, _ handler: @escaping @Sendable (Exchange) async throws -> Reply)
        -> Route
    {
        Route(name: name, methods: [.get, .head], handler: handler)
    }

    /// A route for POST.
    static func post(_ name: RouteName, _ handler: @escaping @Sendable (Exchange) async throws -> Reply)
        -> Route
    {
        Route(name: name, methods: [.post], handler: handler)
    }
}
