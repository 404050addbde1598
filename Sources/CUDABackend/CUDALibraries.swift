import CCUDA
import Tensors

/// The functions of the driver, the compiler and the library of products.
struct CUDALibraries: @unchecked Sendable {
    // Safe: function pointers, written once.
    let driver: vireo_driver
    let compiler: vireo_compiler
    let blas: vireo_blas

    /// Finds all three, in `folder` first if given.
    init(folder: String?) throws(DeviceError) {
        let search = LibrarySearch(override: folder)
        let driver = try Self.driver(folder: folder)
        // The compiler loads its part with the functions of the device from beside it, if it was not loaded before.
        _ = try? search.open(
            ["libnvrtc-builtins.so.13.*", "libnvrtc-builtins.so.12.*"], for: "compiling kernels")
        var compiler = vireo_compiler()
        let compilerLibrary = try search.open(
            ["libnvrtc.so.13", "libnvrtc.so.12"], for: "compiling kernels")
        unsafe try Self.check(unsafe vireo_find_compiler(compilerLibrary.handle, &compiler), compilerLibrary)
        var blas = vireo_blas()
        let blasLibrary = try search.open(["libcublasLt.so.13", "libcublasLt.so.12"], for: "products")
        unsafe try Self.check(unsafe vireo_find_blas(blasLibrary.handle, &blas), blasLibrary)
        (self.driver, self.compiler, self.blas) = (driver, compiler, blas)
    }

    /// The driver's functions.
    static func driver(folder: String?) throws(DeviceError) -> vireo_driver {
        var driver = vireo_driver()
        let library = try LibrarySearch(override: folder).open(["libcuda.so.1"], for: "NVIDIA's driver")
        unsafe try check(vireo_find_driver(library.handle, &driver), library)
        return driver
    }

    /// Takes tables, of a stand-in for example.
    init(driver: vireo_driver, compiler: vireo_compiler, blas: vireo_blas) {
        (self.driver, self.compiler, self.blas) = (driver, compiler, blas)
    }

    private static func check(_ missing: UnsafePointer<CChar>?, _ library: Library) throws(DeviceError) {
        guard let missing = unsafe missing else { return }
        // Safe: a string constant.
        let name = unsafe String(cString: missing)
        throw .failed("\(library.name) has no function \(name): it is too old; CUDA 12.4 or newer is needed")
    }
}
