import Glibc
package import Tensors

extension Storage {
    /// The value of `body` on the bytes of a storage in host memory.
    @safe func withBytes<Value, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Value,
    ) throws(Failure) -> Value {
        defer { withExtendedLifetime(self) {} }
        // Safe: only storages of host memory are asked, and they live until the body returns.
        return unsafe try body(
            UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: byteCount))
    }

    /// Lets `body` fill a storage that was just made and is not shared yet.
    @safe func fill(_ body: (UnsafeMutableRawBufferPointer) -> Void) {
        // Safe: as above, and nobody else has the storage.
        unsafe body(
            UnsafeMutableRawBufferPointer(
                start: UnsafeMutableRawPointer(bitPattern: address), count: byteCount))
        withExtendedLifetime(self) {}
    }

    /// `byteCount` bytes of host memory of unspecified content, aligned to 64.
    static func host(byteCount: Int) throws(CheckpointError) -> Storage {
        let length = max(64, byteCount)
        var memory: UnsafeMutableRawPointer?
        guard unsafe posix_memalign(&memory, 64, length) == 0, let memory = unsafe memory else {
            throw .outOfMemory(byteCount: byteCount)
        }
        // Safe: given back once, by the storage that owns it.
        return Storage(address: UInt(bitPattern: memory), byteCount: length) { address in
            unsafe free(UnsafeMutableRawPointer(bitPattern: address))
        }
    }
}

extension Tensor {
    /// The value of `body` on the bytes of a tensor in host memory.
    @safe package func withHostBytes<Value, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Value,
    ) throws(Failure) -> Value {
        // Safe: a tensor lies within its storage.
        try storage.withBytes { (bytes) throws(Failure) in
            unsafe try body(UnsafeRawBufferPointer(rebasing: bytes[byteOffset..<(byteOffset + byteCount)]))
        }
    }
}
