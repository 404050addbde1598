import HTTPTypes
import Hummingbird
import Synchronization

/// The bytes that request bodies may take together.
final class ByteBudget: Sendable {
    private let limit: Int
    private let used = Atomic<Int>(0)

    init(limit: Int) { self.limit = limit }

    /// The bytes that are taken.
    var usedBytes: Int { used.load(ordering: .relaxed) }

    /// Takes bytes if there are as many left.
    fileprivate func take(_ count: Int) -> Bool {
        let (_, total) = used.add(count, ordering: .relaxed)
        if total <= limit { return true }
        used.subtract(count, ordering: .relaxed)
        return false
    }

    fileprivate func giveBack(_ count: Int) { used.subtract(count, ordering: .relaxed) }
}

/// Bytes taken from a budget; letting go of it gives them back.
final class ByteReservation: Sendable {
    private let budget: ByteBudget
    private let count = Atomic<Int>(0)

    init(of budget: ByteBudget) { self.budget = budget }

    deinit { budget.giveBack(count.load(ordering: .relaxed)) }

    /// Takes more bytes; throws `outOfBodyMemory`.
    func take(_ more: Int) throws(ServingError) {
        guard budget.take(more) else { throw .outOfBodyMemory }
        count.add(more, ordering: .relaxed)
    }
}

/// A request's body, and its part of the budget for as long as it is held.
struct RequestPayload: Sendable {
    let bytes: [UInt8]
    let reservation: ByteReservation
}

/// Checks a request's header, then reads its body.
struct BodyReader: Sendable {
    let maxBytes: Int
    let budget: ByteBudget

    /// Throws what is wrong before a byte of the body is read: encoding, type, size.
    func check(_ headers: HTTPFields) throws(ServingError) {
        if let encoding = headers[.contentEncoding], encoding.lowercased() != "identity" {
            throw .encodedBody
        }
        if let type = headers[.contentType], !Self.isJSON(type) { throw .notJSON }
        if let length = headers[.contentLength].flatMap({ Int($0) }), length > maxBytes {
            throw .bodyTooLarge(limit: maxBytes)
        }
    }

    /// Reads the body chunk by chunk; nothing is set aside that has not come.
    func read(_ request: Request) async throws -> RequestPayload {
        let reservation = ByteReservation(of: budget)
        var bytes: [UInt8] = []
        for try await chunk in request.body {
            // Safe: the first is at most the limit and the second below 4 GiB.
            guard bytes.count + chunk.readableBytes <= maxBytes else {
                throw ServingError.bodyTooLarge(limit: maxBytes)
            }
            try reservation.take(chunk.readableBytes)
            bytes += chunk.readableBytesView
        }
        return RequestPayload(bytes: bytes, reservation: reservation)
    }

    /// `application/json`, alone or with `charset=utf-8`.
    private static func isJSON(_ type: String) -> Bool {
        let parts = type.lowercased().split(separator: ";", omittingEmptySubsequences: true).map { part in
            part.filter { $0 != " " && $0 != "\t" }
        }
        guard parts.first == "application/json" else { return false }
        return parts.dropFirst().allSatisfy { !$0.hasPrefix("charset=") || $0.contains("utf-8") }
    }
}
