import Glibc
package import Tensors

/// Writes a safetensors file tensor by tensor, without holding more than one in memory.
package struct SafetensorsWriter: ~Copyable {
    /// What a tensor of the file is.
    package struct Entry: Sendable, Hashable {
        /// The tensor's name.
        package let tensor: String
        /// Its shape.
        package let shape: Shape
        /// bf16, f16 or f32.
        package let elementType: ElementType

        /// Takes all three.
        package init(tensor: String, shape: Shape, elementType: ElementType) {
            self.tensor = tensor
            self.shape = shape
            self.elementType = elementType
        }

        fileprivate var byteCount: Int { shape.elementCount * elementType.byteCount }
    }

    private let path: String
    private let entries: [Entry]
    private let descriptor: Int32
    private var written = 0

    /// Begins the file at `path`, where none may be, with the table of `entries`.
    package init(path: String, entries: [Entry]) throws(CheckpointError) {
        self.path = path
        self.entries = entries
        descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw Files.failure(path) }
        var header = Array(Self.header(entries).utf8)
        while !header.count.isMultiple(of: 8) { header.append(UInt8(ascii: " ")) }
        let length = UInt64(header.count)
        let prefix = (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }
        try Self.write(prefix + header, to: descriptor, path)
    }

    deinit { _ = close(descriptor) }

    /// Writes the next tensor of the table, a host tensor.
    package mutating func append(_ tensor: Tensor) throws(CheckpointError) {
        let entry = entries[written]
        precondition(
            tensor.shape == entry.shape && tensor.elementType == entry.elementType,
            "the next tensor of the table")
        try tensor.withHostBytes { (bytes) throws(CheckpointError) in
            unsafe try Self.write(bytes, to: descriptor, path)
        }
        written += 1
    }

    /// Checks that all tensors were written and waits until the disk has them.
    package consuming func finish() throws(CheckpointError) {
        precondition(written == entries.count, "every tensor of the table is written")
        guard fsync(descriptor) == 0 else { throw Files.failure(path) }
    }

    private static func write(
        _ bytes: [UInt8], to descriptor: Int32, _ path: String,
    ) throws(CheckpointError) {
        let storage = try Storage.host(byteCount: bytes.count)
        storage.fill { unsafe $0.copyBytes(from: bytes) }
        try Tensor(storage, shape: [bytes.count], elementType: .u8).withHostBytes {
            (bytes) throws(CheckpointError) in
            unsafe try write(bytes, to: descriptor, path)
        }
    }

    private static func write(
        _ bytes: UnsafeRawBufferPointer, to descriptor: Int32, _ path: String,
    ) throws(CheckpointError) {
        var done = 0
        while done < bytes.count {
            // Safe: `done` stays below the buffer's length.
            let count = unsafe Glibc.write(
                descriptor, bytes.baseAddress.map { unsafe $0 + done }, bytes.count - done)
            guard count > 0 else { throw Files.failure(path) }
            done += count
        }
    }

    private static func header(_ entries: [Entry]) -> String {
        var offset = 0
        let members = entries.map { entry in
            let end = offset + entry.byteCount
            defer { offset = end }
            let type = entry.elementType.rawValue.uppercased()
            let shape = entry.shape.list.map(String.init).joined(separator: ",")
            return
                "\"\(entry.tensor)\":{\"dtype\":\"\(type)\",\"shape\":[\(shape)],\"data_offsets\":[\(offset),\(end)]}"
        }
        return "{" + (["\"__metadata__\":{\"format\":\"pt\"}"] + members).joined(separator: ",") + "}"
    }
}
