import Glibc

/// Takes connections on a port.
package final class Listener: Sendable {
    private let descriptor: Int32
    /// The port that it listens on.
    package let port: Int

    /// Listens on `host`, an address of this machine, and `port`; 0 takes a free one.
    package init(host: String, port: Int) throws(LinkError) {
        var failure = LinkError.closed
        for address in try Address.resolve(host, port) {
            let descriptor = socket(
                address.family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
            guard descriptor >= 0 else {
                failure = .last()
                continue
            }
            Connection.set(descriptor, SOL_SOCKET, SO_REUSEADDR, Int32(1))
            let isBound = unsafe address.use { unsafe bind(descriptor, $0, $1) } == 0
            if isBound, listen(descriptor, 64) == 0, let port = Self.port(of: descriptor) {
                self.descriptor = descriptor
                self.port = port
                return
            }
            failure = .last()
            Glibc.close(descriptor)
        }
        throw failure
    }

    deinit { Glibc.close(descriptor) }

    /// The next connection that is there; nil when there is none.
    package func accept() -> Connection? {
        let accepted = Glibc.accept(descriptor, nil, nil)
        return accepted < 0 ? nil : Connection(taking: accepted)
    }

    private static func port(of descriptor: Int32) -> Int? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        // Safe: the storage holds an address of any family; both families have the port at the same place.
        let port = unsafe withUnsafeMutableBytes(of: &storage) { bytes -> Int? in
            let address = unsafe bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self)
            guard unsafe getsockname(descriptor, address, &length) == 0 else { return nil }
            return unsafe Int(bytes[2]) << 8 | Int(bytes[3])
        }
        return port
    }
}
