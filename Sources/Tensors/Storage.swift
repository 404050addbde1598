/// A run of bytes of one device, given back once, when the last tensor that refers to it goes.
package final class Storage: Sendable {
    /// Where it begins in the device's own address space (a host pointer on the CPU).
    package let address: UInt
    /// How long it is.
    package let byteCount: Int
    private let release: @Sendable (UInt) -> Void

    /// Takes over `byteCount` bytes at `address`; `release` is called once with that address.
    package init(address: UInt, byteCount: Int, release: @escaping @Sendable (UInt) -> Void) {
        self.address = address
        self.byteCount = byteCount
        self.release = release
    }

    deinit { release(address) }
}
