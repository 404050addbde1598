import Glibc
import Tensors

/// Finds the shared libraries of CUDA on this machine: by the system's own search, in toolkits, and in the wheels of
/// Python environments.
struct LibrarySearch {
    /// Folders to look in, best first; the system's own search comes before all but a folder the user named.
    let folders: [String]
    /// Whether the user named the first folder.
    let hasOverride: Bool

    /// Looks in `override` first, if given.
    init(override: String?) {
        var folders = [override].compactMap(\.self)
        hasOverride = override != nil
        let environment = ["CUDA_HOME", "CUDA_PATH"].compactMap(Self.variable)
        for root in environment + ["/usr/local/cuda"] + Self.matches("/usr/local/cuda-*") {
            folders += ["\(root)/lib64", "\(root)/targets/x86_64-linux/lib"]
        }
        folders += ["/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/usr/lib/x86_64-linux-gnu"]
        let environments = ["VIRTUAL_ENV", "CONDA_PREFIX"].compactMap(Self.variable).map { "\($0)/lib" }
        let programs = (Self.variable("PATH") ?? "").split(separator: ":").map { "\($0)/../lib" }
        let home = Self.variable("HOME").map { ["\($0)/.local/lib"] } ?? []
        for root in environments + programs + home + ["/usr/local/lib", "/usr/lib"] {
            for packages in ["site-packages", "dist-packages"] {
                folders += Self.matches("\(root)/python3*/\(packages)/nvidia/*/lib")
            }
        }
        self.folders = folders
    }

    /// Opens the first library that one of `names` finds; they may hold the wildcards of the shell.
    ///
    /// Throws with all places that were looked in. Libraries stay open until the process ends.
    func open(_ names: [String], for purpose: String) throws(DeviceError) -> Library {
        let everywhere = names.filter { !$0.contains("*") }
        let candidates = folders.flatMap { folder in names.flatMap { Self.matches("\(folder)/\($0)") } }
        let ordered = hasOverride ? candidates + everywhere : everywhere + candidates
        for candidate in ordered {
            if let handle = unsafe dlopen(candidate, RTLD_NOW | RTLD_GLOBAL) {
                return Library(name: candidate, address: UInt(bitPattern: handle))
            }
        }
        throw .failed(
            "\(names[0]) is needed for \(purpose) and was not found by the system's search nor in: "
                + folders.joined(separator: ", ") + "; name its folder with --cuda_libraries")
    }

    /// The paths that match a pattern of the shell, the highest first.
    static func matches(_ pattern: String) -> [String] {
        var result = unsafe glob_t()
        defer { unsafe globfree(&result) }
        guard unsafe glob(pattern, 0, nil, &result) == 0 else { return [] }
        // Safe: glob filled as many zero-terminated paths as it says.
        let paths = unsafe (0..<Int(result.gl_pathc)).compactMap { index in
            unsafe result.gl_pathv[index].map { unsafe String(cString: $0) }
        }
        return paths.reversed()
    }

    private static func variable(_ name: String) -> String? {
        // Safe: getenv gives a zero-terminated string, copied at once.
        guard let value = unsafe getenv(name) else { return nil }
        let text = unsafe String(cString: value)
        return text.isEmpty ? nil : text
    }
}

/// A shared library that is open.
struct Library: Sendable {
    /// The name or path it was found by.
    let name: String
    /// Its handle.
    let address: UInt

    /// The handle as the loader takes it.
    // Safe: the library stays open until the process ends.
    var handle: UnsafeMutableRawPointer? { unsafe UnsafeMutableRawPointer(bitPattern: address) }
}
