/// Cuts a stream of server-sent events into the data of its events.
package struct EventReader: Sendable {
    private var pending: [UInt8] = []

    /// A reader at the start of a stream.
    package init() {}

    /// The data of the events that `bytes` complete, one line each; comments are passed over.
    package mutating func append(_ bytes: some Sequence<UInt8>) -> [[UInt8]] {
        pending += bytes
        var events: [[UInt8]] = []
        while let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
            let line = pending[..<end]
            if line.starts(with: "data:".utf8) {
                events.append(Array(line.dropFirst(5).drop { $0 == UInt8(ascii: " ") }))
            }
            pending.removeFirst(end + 1)
        }
        return events
    }
}
