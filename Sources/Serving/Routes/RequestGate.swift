import HTTPTypes
import Hummingbird
import JSON
import Synchronization

/// Lets generations in: while the server runs, as many as may, with bodies that are acceptable.
struct RequestGate: Sendable {
    let state: ServerState
    let bodies: BodyReader
    let slots: RequestSlots

    /// Checks the header, takes a slot, and runs `body` with it and the request's JSON for as long as the
    /// client stays.
    ///
    /// The body's bytes count until `body` returns.
    func admit(
        _ exchange: Exchange, fields: Set<String>,
        _ body: @escaping @Sendable (JSONValue, RequestSlot) async throws -> Reply,
    ) async throws -> Reply {
        let headers = exchange.request.headers
        try bodies.check(headers)
        guard !state.isDraining else { throw ServingError.shuttingDown }
        let slot = try slots.take()
        let sendsContinue = headers[.expect]?.lowercased() == "100-continue"
        return try await exchange.connection.serve(sendsContinue: sendsContinue) {
            let (json, reservation) = try await read(exchange.request, fields: fields)
            defer { withExtendedLifetime(reservation) {} }
            return try await body(json, slot)
        }
    }

    private func read(_ request: Request, fields: Set<String>) async throws -> (JSONValue, ByteReservation) {
        let payload = try await bodies.read(request)
        do throws(JSONError) {
            return (try JSONValue(reading: payload.bytes), payload.reservation)
        } catch {
            throw ServingError(error, fields: fields)
        }
    }
}

/// How many generations there may be at once.
final class RequestSlots: Sendable {
    private let limit: Int
    private let used = Atomic<Int>(0)

    init(limit: Int) { self.limit = limit }

    /// A slot; throws `tooManyRequests`.
    func take() throws(ServingError) -> RequestSlot {
        guard used.add(1, ordering: .relaxed).newValue <= limit else {
            used.subtract(1, ordering: .relaxed)
            throw .tooManyRequests
        }
        return RequestSlot(of: self)
    }

    fileprivate func giveBack() { used.subtract(1, ordering: .relaxed) }
}

/// A generation's place; letting go of it frees it.
final class RequestSlot: Sendable {
    private let slots: RequestSlots

    fileprivate init(of slots: RequestSlots) { self.slots = slots }

    deinit { slots.giveBack() }
}
