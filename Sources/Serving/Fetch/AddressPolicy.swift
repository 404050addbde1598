/// An IPv4 or IPv6 address as its 4 or 16 bytes, first byte first.
struct HostAddress: Hashable, Sendable {
    let bytes: [UInt8]

    /// What an address is for.
    enum Reach: Hashable, Sendable {
        /// Anywhere on the internet.
        case global
        /// This host, or a network of its owner: loopback, RFC 1918, carrier-grade NAT, unique local.
        case local
        /// Nothing a picture could be fetched from: unspecified, link-local, multicast, reserved,
        /// documentation.
        case refused
    }

    /// Where the address leads; of one that carries an IPv4 address inside, where that one does.
    ///
    /// After the IANA special-purpose registries (RFC 6890 and its successors).
    var reach: Reach {
        switch bytes.count {
        case 4: Self.reach(v4: bytes[...])
        case 16: Self.reach(v6: bytes)
        default: .refused
        }
    }

    private static func reach(v4: ArraySlice<UInt8>) -> Reach {
        let (a, b, c) = (v4[v4.startIndex], v4[v4.startIndex + 1], v4[v4.startIndex + 2])
        switch (a, b, c) {
        case (127, _, _), (10, _, _), (172, 16...31, _), (192, 168, _), (100, 64...127, _): return .local
        case (0, _, _), (169, 254, _), (224..., _, _): return .refused
        case (192, 0, 0), (192, 0, 2), (192, 88, 99), (198, 18...19, _), (198, 51, 100), (203, 0, 113):
            return .refused
        default: return .global
        }
    }

    private static func reach(v6: [UInt8]) -> Reach {
        func begins(_ prefix: [UInt8]) -> Bool { v6.starts(with: prefix) }
        let zeros = Array(repeating: UInt8(0), count: 15)
        if begins(zeros) {
            switch v6[15] {
            case 0: return .refused
            case 1: return .local
            default: break
            }
        }
        // IPv4 inside: mapped, translated (RFC 2765), compatible, NAT64 (RFC 6052 and 8215), 6to4.
        if begins(zeros.prefix(10) + [0xff, 0xff]) { return reach(v4: v6[12...]) }
        if begins(zeros.prefix(8) + [0xff, 0xff, 0, 0]) { return reach(v4: v6[12...]) }
        if begins(Array(zeros.prefix(12))) { return reach(v4: v6[12...]) }
        if begins([0x00, 0x64, 0xff, 0x9b] + zeros.prefix(8)) { return reach(v4: v6[12...]) }
        if begins([0x20, 0x02]) { return reach(v4: v6[2..<6]) }
        if v6[0] & 0xfe == 0xfc { return .local }
        // Of 2000::/3, all that is given out: without 2001::/23 (Teredo and the like), documentation and
        // 3fff::/20.
        guard v6[0] & 0xe0 == 0x20 else { return .refused }
        if begins([0x20, 0x01]), v6[2] & 0xfe == 0 { return .refused }
        if begins([0x20, 0x01, 0x0d, 0xb8]) { return .refused }
        if begins([0x3f, 0xff]), v6[2] & 0xf0 == 0 { return .refused }
        return .global
    }
}

/// Which addresses pictures may be fetched from.
struct AddressPolicy: Sendable {
    /// Lets addresses pass that lead to this host or its owner's networks.
    let allowsLocal: Bool

    /// Whether every one of `addresses`, and at least one, is allowed.
    func allows(_ addresses: [HostAddress]) -> Bool {
        !addresses.isEmpty
            && addresses.allSatisfy { address in
                switch address.reach {
                case .global: true
                case .local: allowsLocal
                case .refused: false
                }
            }
    }
}
