import Glibc

/// Compiled kernels, and what was found out about the GPU, on disk: each in a file named by a hash of all that it depends on.
///
/// A file that is missing, damaged or for something else is as good as none; what cannot be written is not kept.
struct KernelStore: Sendable {
    /// Where the files are; nil keeps nothing.
    let folder: String?

    /// The user's cache folder, or none where there is none.
    static var usual: KernelStore {
        func variable(_ name: String) -> String? {
            // Safe: getenv gives a zero-terminated string, copied at once.
            unsafe getenv(name).map { unsafe String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
        }
        let cache = variable("XDG_CACHE_HOME") ?? variable("HOME").map { "\($0)/.cache" }
        return KernelStore(folder: cache.map { "\($0)/vireo/kernels" })
    }

    /// What was kept for `key`.
    func code(for key: String) -> [UInt8]? {
        guard let path = path(of: key), let file = unsafe fopen(path, "rb") else { return nil }
        defer { unsafe fclose(file) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = unsafe fread(&block, 1, block.count, file)
            if count == 0 { break }
            bytes += block.prefix(count)
        }
        let head = Self.head(key, code: bytes.dropFirst(Self.headLength))
        guard bytes.count > Self.headLength, bytes.prefix(Self.headLength).elementsEqual(head) else {
            return nil
        }
        return Array(bytes.dropFirst(Self.headLength))
    }

    /// Keeps `code` for `key`: written beside and renamed, so that nobody sees half of it.
    func keep(_ code: [UInt8], for key: String) {
        guard let path = path(of: key), let folder else { return }
        makeFolders(folder)
        let draft = "\(path).\(UInt64.random(in: .min ... .max))"
        guard let file = unsafe fopen(draft, "wb") else { return }
        let bytes = Self.head(key, code: code[...]) + code
        let written = unsafe fwrite(bytes, 1, bytes.count, file)
        let closed = unsafe fclose(file)
        if unsafe written != bytes.count || closed != 0 || rename(draft, path) != 0 { unsafe unlink(draft) }
    }

    private func path(of key: String) -> String? {
        folder.map { "\($0)/\(String(Self.hash(key.utf8), radix: 16)).cubin" }
    }

    private func makeFolders(_ folder: String) {
        var path = ""
        for part in folder.split(separator: "/") {
            path += "/\(part)"
            unsafe mkdir(path, 0o755)
        }
    }

    private static let headLength = 24

    /// Two hashes of the key and one of the code.
    private static func head(_ key: String, code: ArraySlice<UInt8>) -> [UInt8] {
        let hashes = [hash(key.utf8), hash(key.utf8.reversed()), hash(code)]
        return hashes.flatMap { value in (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
    }

    /// FNV-1a.
    private static func hash(_ bytes: some Sequence<UInt8>) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}
