import Glibc

/// Why a connection between nodes is of no use any more.
package enum LinkError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The other side has gone.
    case closed
    /// Nothing came for too long.
    case timedOut
    /// What came is not understood.
    case malformed
    /// The other side refuses; in its words.
    case refused(String)
    /// The system refuses; in its words.
    case system(String)

    package var description: String {
        switch self {
        case .closed: "the connection was closed"
        case .timedOut: "nothing was heard for too long"
        case .malformed: "what was received is not understood"
        case .refused(let words), .system(let words): words
        }
    }

    /// The system's words for `errno`.
    static func last() -> LinkError { .system(unsafe String(cString: strerror(errno))) }
}

/// A TCP connection, used by threads that may block; several may send and receive if they agree on turns.
package final class Connection: Sendable {
    private let descriptor: Int32

    init(taking descriptor: Int32) {
        self.descriptor = descriptor
        Self.set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, Int32(1))
    }

    deinit { Glibc.close(descriptor) }

    /// Connects to `host` and `port`, within `seconds` for each of the host's addresses.
    package static func open(host: String, port: Int, seconds: Int) throws(LinkError) -> Connection {
        var failure = LinkError.closed
        for address in try Address.resolve(host, port) {
            let descriptor = socket(address.family, Int32(SOCK_STREAM.rawValue), 0)
            guard descriptor >= 0 else {
                failure = .last()
                continue
            }
            let connection = Connection(taking: descriptor)
            set(descriptor, SOL_SOCKET, SO_SNDTIMEO, timeval(tv_sec: seconds, tv_usec: 0))
            let status = unsafe address.use { unsafe connect(descriptor, $0, $1) }
            if status == 0 {
                set(descriptor, SOL_SOCKET, SO_SNDTIMEO, timeval())
                return connection
            }
            failure = .last()
        }
        throw failure
    }

    /// From now on `receive` throws `timedOut` when nothing comes for so long; zero waits for ever.
    package func setPatience(milliseconds: Int) {
        Self.set(
            descriptor, SOL_SOCKET, SO_RCVTIMEO,
            timeval(tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000))
    }

    /// Ends both directions: whoever sends or receives finds it closed.
    package func shutDown() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// Sends all of `bytes`.
    package func send(_ bytes: UnsafeRawBufferPointer) throws(LinkError) {
        var done = 0
        while done < bytes.count {
            // Safe: the rest of the buffer.
            let count = unsafe Glibc.send(
                descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done, Int32(MSG_NOSIGNAL))
            if count > 0 {
                done += count
            } else if errno != EINTR {
                throw .closed
            }
        }
    }

    /// Sends all of `bytes`.
    package func send(_ bytes: [UInt8]) throws(LinkError) {
        let result = unsafe bytes.withUnsafeBytes { bytes in
            Result { () throws(LinkError) in try unsafe send(bytes) }
        }
        try result.get()
    }

    /// Fills `bytes`.
    package func receive(into bytes: UnsafeMutableRawBufferPointer) throws(LinkError) {
        var done = 0
        while done < bytes.count {
            // Safe: the rest of the buffer.
            let count = unsafe recv(
                descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done, 0)
            if count > 0 {
                done += count
            } else if count == 0 {
                throw .closed
            } else if errno == EAGAIN {
                throw .timedOut
            } else if errno != EINTR {
                throw .closed
            }
        }
    }

    /// The next `count` bytes; memory is taken as they come, not as they are announced.
    package func receive(count: Int) throws(LinkError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            var part = [UInt8](repeating: 0, count: min(count - bytes.count, 1 << 20))
            let result = unsafe part.withUnsafeMutableBytes { part in
                Result { () throws(LinkError) in try unsafe receive(into: part) }
            }
            try result.get()
            if bytes.isEmpty { bytes = part } else { bytes += part }
        }
        return bytes
    }

    /// Adds to `bytes` what has come already, up to `count` in all; false when the other side has gone.
    package func receiveReady(into bytes: inout [UInt8], upTo count: Int) -> Bool {
        while bytes.count < count {
            var part = [UInt8](repeating: 0, count: count - bytes.count)
            let received = unsafe part.withUnsafeMutableBytes {
                unsafe recv(descriptor, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT))
            }
            guard received > 0 else { return received < 0 && (errno == EAGAIN || errno == EINTR) }
            bytes += part.prefix(received)
        }
        return true
    }

    static func set<Value>(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Value) {
        // Safe: the option's value, of its size. An option that is refused leaves the connection usable.
        _ = unsafe withUnsafeBytes(of: value) {
            unsafe setsockopt(descriptor, level, option, $0.baseAddress, socklen_t($0.count))
        }
    }
}

/// A place on the network.
struct Address {
    let family: Int32
    private let bytes: [UInt8]

    /// The places that `host` names.
    static func resolve(_ host: String, _ port: Int) throws(LinkError) -> [Address] {
        var hints = unsafe addrinfo()
        unsafe hints.ai_family = AF_UNSPEC
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = unsafe getaddrinfo(host, String(port), &hints, &list)
        guard status == 0 else { throw .system(unsafe String(cString: gai_strerror(status))) }
        defer { unsafe freeaddrinfo(list) }
        var found: [Address] = []
        var next = unsafe list
        // Safe: the list lives until `freeaddrinfo`.
        while let entry = unsafe next {
            let bytes = unsafe UnsafeRawBufferPointer(
                start: entry.pointee.ai_addr, count: Int(entry.pointee.ai_addrlen))
            found.append(unsafe Address(family: entry.pointee.ai_family, bytes: Array(bytes)))
            unsafe next = entry.pointee.ai_next
        }
        return found
    }

    /// What `body` makes of it in the system's form.
    func use(_ body: (UnsafePointer<sockaddr>?, socklen_t) -> Int32) -> Int32 {
        // Safe: the bytes are an address of the family as the system gave it.
        unsafe bytes.withUnsafeBytes {
            unsafe body($0.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
        }
    }
}
