import Glibc
import Tensors

/// The few file operations a checkpoint needs.
package enum Files {
    /// The error of the last failed call on `path`.
    static func failure(_ path: String) -> CheckpointError {
        // Safe: strerror returns a zero-terminated string, copied at once.
        .cannotOpen(path: path, reason: unsafe String(cString: strerror(errno)))
    }

    /// Whether something is at `path`.
    package static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

    /// The bytes of a small file; nil when there is none.
    package static func read(_ path: String, atMost limit: Int) throws(CheckpointError) -> [UInt8]? {
        guard exists(path) else { return nil }
        let file = try map(path)
        guard file.byteCount <= limit else {
            throw .malformed(
                file: path, problem: "\(file.byteCount) bytes long, more than the \(limit) expected")
        }
        return file.withBytes { unsafe [UInt8]($0) }
    }

    /// A whole regular file, mapped for reading until its storage goes.
    static func map(_ path: String) throws(CheckpointError) -> Storage {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(path) }
        defer { _ = close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw failure(path) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .cannotOpen(path: path, reason: "not a regular file")
        }
        let byteCount = Int(status.st_size)
        guard byteCount > 0 else { throw .malformed(file: path, problem: "empty") }
        let address = unsafe mmap(nil, byteCount, PROT_READ, MAP_PRIVATE, descriptor, 0)
        guard let address = unsafe address, unsafe address != MAP_FAILED else { throw failure(path) }
        // Safe: the mapping is given up once, by the storage that owns it.
        return Storage(address: UInt(bitPattern: address), byteCount: byteCount) { address in
            unsafe _ = munmap(UnsafeMutableRawPointer(bitPattern: address), byteCount)
        }
    }

    /// The names of what is in `folder`, sorted.
    static func list(_ folder: String) throws(CheckpointError) -> [String] {
        guard let directory = unsafe opendir(folder) else { throw failure(folder) }
        defer { unsafe _ = closedir(directory) }
        var names: [String] = []
        while let entry = unsafe readdir(directory) {
            // Safe: the name is zero-terminated and stays until the next readdir.
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Copies a regular file to a path where none is.
    static func copy(_ path: String, to target: String) throws(CheckpointError) {
        let source = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard source >= 0 else { throw failure(path) }
        defer { _ = close(source) }
        let copy = unsafe open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard copy >= 0 else { throw failure(target) }
        defer { _ = close(copy) }
        while true {
            let count = sendfile(copy, source, nil, 1 << 30)
            guard count >= 0 else { throw failure(target) }
            if count == 0 { return }
        }
    }

    /// Whether a regular file is at `path`.
    static func isRegular(_ path: String) -> Bool {
        var status = stat()
        return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// Makes `folder` unless it is there.
    static func makeFolder(_ folder: String) throws(CheckpointError) {
        guard unsafe mkdir(folder, 0o755) == 0 || errno == EEXIST else { throw failure(folder) }
    }
}
