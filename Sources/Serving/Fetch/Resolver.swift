import NIOPosix

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// Finds the addresses of a host.
protocol HostResolver: Sendable {
    /// All addresses of `host`, in the order to try; empty when there are none. Cancellable.
    func resolve(_ host: String) async throws -> [ResolvedAddress]
}

/// An address and how it is written.
struct ResolvedAddress: Hashable, Sendable {
    let address: HostAddress
    /// In numbers, as `connect` takes it.
    let text: String
}

/// Asks the system, on threads of its own: `getaddrinfo` blocks for as long as the name servers like.
struct SystemResolver: HostResolver {
    private let threads: NIOThreadPool

    /// Uses started `threads`.
    init(threads: NIOThreadPool) { self.threads = threads }

    func resolve(_ host: String) async throws -> [ResolvedAddress] {
        // A stream, because a look-up cannot be cancelled but waiting for it can.
        let (results, result) = AsyncStream.makeStream(of: [ResolvedAddress].self)
        threads.submit { state in
            if case .active = state { result.yield(Self.lookUp(host)) }
            result.finish()
        }
        for await addresses in results { return addresses }
        throw CancellationError()
    }

    /// Blocks.
    private static func lookUp(_ host: String) -> [ResolvedAddress] {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard unsafe getaddrinfo(host, nil, &hints, &list) == 0 else { return [] }
        defer { unsafe freeaddrinfo(list) }
        var addresses: [ResolvedAddress] = []
        var entry = unsafe list
        while let current = unsafe entry {
            if let address = unsafe resolved(current.pointee) { addresses.append(address) }
            unsafe entry = current.pointee.ai_next
        }
        return addresses
    }

    /// Safe: getaddrinfo gives each entry a socket address as long as it says, of Linux's layout: family and
    /// port, then the four bytes of IPv4, or four of a flow label and the sixteen of IPv6.
    private static func resolved(_ entry: addrinfo) -> ResolvedAddress? {
        guard let socketAddress = unsafe entry.ai_addr else { return nil }
        let layout = unsafe UnsafeRawBufferPointer(start: socketAddress, count: Int(entry.ai_addrlen))
        let place: Range<Int>
        switch unsafe entry.ai_family {
        case AF_INET: place = 4..<8
        case AF_INET6: place = 8..<24
        default: return nil
        }
        guard place.upperBound <= layout.count else { return nil }
        let bytes = unsafe Array(layout[place])
        var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let length = unsafe entry.ai_addrlen
        guard
            unsafe getnameinfo(socketAddress, length, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
                == 0
        else { return nil }
        let characters = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return ResolvedAddress(
            address: HostAddress(bytes: bytes), text: String(decoding: characters, as: UTF8.self))
    }
}
