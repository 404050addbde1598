import NIOCore

/// How long a connection may take for what.
struct ConnectionTimes: Sendable {
    let header: TimeAmount
    let body: TimeAmount
    let keepAlive: TimeAmount
    let write: TimeAmount
    let comment: TimeAmount
    /// Between two questions to a client that has shut down its sending half.
    let probe = TimeAmount.seconds(2)
    /// For which what still comes is dropped after the last answer.
    let linger = TimeAmount.seconds(1)

    /// The times of a configuration.
    init(_ configuration: ServerConfiguration) {
        header = Self.amount(configuration.headerSeconds)
        body = Self.amount(configuration.bodySeconds)
        keepAlive = Self.amount(configuration.keepAliveSeconds)
        write = Self.amount(configuration.writeSeconds)
        comment = Self.amount(configuration.commentSeconds)
    }

    /// At least a millisecond, at most a day.
    private static func amount(_ seconds: Double) -> TimeAmount {
        .milliseconds(Int64((min(max(seconds, 0.001), 86_400) * 1_000).rounded()))
    }
}

/// Where a connection stands between requests and answers.
struct ConnectionState {
    /// Requests whose answer is not complete.
    private(set) var pendingCount = 0
    /// Whether a request has been answered.
    private(set) var hasServed = false
    /// The manners of the newest request.
    private(set) var dialect = Dialect.native
    /// Whether a request's body is arriving.
    var isReading = false
    /// Whether the answer to the oldest request has begun.
    var isHeadWritten = false
    /// Whether the connection closes after the answer that is being written.
    var closesAfterEnd = false
    /// Whether the last answer is written: nothing more is read or written.
    var isClosing = false
    /// When what is being read has to be there; nil while nothing is awaited.
    var readDeadline: NIODeadline?
    /// When something was written last.
    var lastWrite = NIODeadline.now()

    /// A request's header is read.
    mutating func begin(_ dialect: Dialect) {
        pendingCount += 1
        isReading = true
        self.dialect = dialect
    }

    /// An answer is written to its end.
    mutating func end() {
        pendingCount = max(0, pendingCount - 1)
        isHeadWritten = false
        hasServed = true
    }
}
