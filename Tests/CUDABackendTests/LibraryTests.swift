import CCUDA
import Foundation
import Glibc
import Testing

@testable import CUDABackend

@Suite struct LibraryTests {
    /// A shared library that is on every machine: that of mathematics.
    private static func anyLibrary() throws -> String {
        let places = ["/lib/*/libm.so.6", "/lib64/libm.so.6", "/usr/lib*/libm.so.6", "/lib/libm.so.6"]
        return try #require(places.flatMap(LibrarySearch.matches).first)
    }

    @Test func `what is found nowhere is named, with its purpose, the places and the flag`() throws {
        let folder = try TemporaryFolder()
        let message = refusal {
            _ = try LibrarySearch(override: folder.path).open(
                ["libvireo-none.so.7", "libvireo-none.so.6"], for: "tests")
        }
        #expect(
            message.hasPrefix(
                "libvireo-none.so.7 is needed for tests and was not found by the system's search nor in: \(folder.path), "
            ))
        #expect(message.contains("/usr/local/cuda/lib64"))
        #expect(message.hasSuffix("; name its folder with --cuda_libraries"))
    }

    @Test func `a folder that was named comes before the system, and better names before others`() throws {
        let folder = try TemporaryFolder(), library = try Self.anyLibrary()
        for name in ["libm.so.6", "libvireo-test.so.12.8", "libvireo-test.so.13.0", "libvireo-test.so.13.1"] {
            try FileManager.default.copyItem(atPath: library, toPath: "\(folder.path)/\(name)")
        }
        let search = LibrarySearch(override: folder.path)
        #expect(search.hasOverride && search.folders.first == folder.path)
        #expect(try search.open(["libm.so.6"], for: "tests").name == "\(folder.path)/libm.so.6")
        #expect(try LibrarySearch(override: nil).open(["libm.so.6"], for: "tests").name == "libm.so.6")
        let names = ["libvireo-test.so.13.*", "libvireo-test.so.12.*"]
        #expect(try search.open(names, for: "tests").name == "\(folder.path)/libvireo-test.so.13.1")
        #expect(
            try search.open(names.reversed(), for: "tests").name == "\(folder.path)/libvireo-test.so.12.8")
    }

    @Test func `a file that is no library is passed over`() throws {
        let folder = try TemporaryFolder()
        try "not a library".write(toFile: "\(folder.path)/libm.so.6", atomically: true, encoding: .utf8)
        let library = try LibrarySearch(override: folder.path).open(["libm.so.6"], for: "tests")
        #expect(!library.name.hasPrefix(folder.path))
    }

    @Test func `a library without the functions is too old, and the first that is missing is named`() throws {
        let folder = try TemporaryFolder(), library = try Self.anyLibrary()
        let path = "\(folder.path)/libcuda.so.1"
        try FileManager.default.copyItem(atPath: library, toPath: path)
        let message = "\(path) has no function cuInit: it is too old; CUDA 12.4 or newer is needed"
        #expect(refusal { _ = try CUDALibraries.driver(folder: folder.path) } == message)
        // The driver comes first: without it the others are of no use.
        #expect(refusal { _ = try CUDALibraries(folder: folder.path) } == message)
        #expect(refusal { _ = try CUDADevice(libraryFolder: folder.path) } == message)
        let mathematics = try LibrarySearch(override: nil).open(["libm.so.6"], for: "tests")
        var (compiler, blas) = (vireo_compiler(), vireo_blas())
        let noCompiler = unsafe vireo_find_compiler(mathematics.handle, &compiler)
        let noProducts = unsafe vireo_find_blas(mathematics.handle, &blas)
        #expect(unsafe noCompiler.map { unsafe String(cString: $0) } == "nvrtcVersion")
        #expect(unsafe noProducts.map { unsafe String(cString: $0) } == "cublasLtCreate")
    }
}
