/// Names a request for its whole life; grows by arrival, so that comparing two tells which came first.
package struct RequestID: Hashable, Sendable, Comparable {
    /// A number no other request has.
    package let value: UInt64

    /// Takes a number that grows from request to request.
    package init(_ value: UInt64) { self.value = value }

    package static func < (left: RequestID, right: RequestID) -> Bool { left.value < right.value }
}

/// A page of the key-value cache, or of the embedding store.
package typealias PageIndex = Int32

/// Why an answer ended.
package enum FinishReason: String, Sendable, Hashable {
    /// An end token was chosen (it is not among the tokens).
    case stop
    /// It has as many tokens as it may have.
    case length
}
