import CCUDA
import Glibc
import Synchronization
import Tensors

/// A kernel on the device.
struct CUDAKernel: Sendable {
    let name: String
    let address: UInt

    /// The driver's handle.
    // Safe: modules are never unloaded.
    var handle: UnsafeMutableRawPointer? { unsafe UnsafeMutableRawPointer(bitPattern: address) }
}

/// A source and the settings it is compiled with.
struct KernelModule: Hashable, Sendable {
    /// The file's name without ending.
    let source: String
    /// Macros by name.
    var settings: [String: Int] = [:]
}

/// Compiles kernels for the present GPU, each once per machine: what was compiled is kept on disk.
///
/// Thread-safe.
final class KernelCompiler: Sendable {
    private let stream: CUDAStream
    private let store: KernelStore
    private let modules = Mutex<[KernelModule: UInt]>([:])
    private let kernels = Mutex<[String: CUDAKernel]>([:])

    init(stream: CUDAStream, store: KernelStore) {
        self.stream = stream
        self.store = store
    }

    /// The kernel `name` of `module`, compiled if need be, allowed to use `shared` bytes of a block's memory.
    func kernel(_ name: String, _ module: KernelModule, shared: Int = 0) throws(DeviceError) -> CUDAKernel {
        let key = "\(name) \(module.key)"
        if let known = kernels.withLock({ $0[key] }) { return known }
        let module = try load(module)
        stream.enter()
        var function: UnsafeMutableRawPointer?
        let driver = stream.libraries.driver
        try CUDAStream.attempt(
            stream.libraries,
            unsafe driver.module_function(&function, UnsafeMutableRawPointer(bitPattern: module), name),
            "finding the kernel \(name)")
        let mostDynamicShared: Int32 = 8
        if shared > 48 << 10 {
            try CUDAStream.attempt(
                stream.libraries,
                unsafe driver.set_function_attribute(function, mostDynamicShared, Int32(shared)),
                "giving \(shared) bytes of shared memory to \(name)")
        }
        // The same division between shared memory and cache for all: a change would let nothing overlap.
        let preferredCarveout: Int32 = 9, allShared: Int32 = 100
        _ = unsafe driver.set_function_attribute(function, preferredCarveout, allShared)
        let kernel = CUDAKernel(name: name, address: UInt(bitPattern: function))
        kernels.withLock { $0[key] = kernel }
        return kernel
    }

    /// Compiles what is not there yet; may run on several threads at once.
    @discardableResult
    func load(_ module: KernelModule) throws(DeviceError) -> UInt {
        if let known = modules.withLock({ $0[module] }) { return known }
        let code = try code(of: module)
        stream.enter()
        var handle: UnsafeMutableRawPointer?
        let status = unsafe code.withUnsafeBytes { bytes in
            unsafe stream.libraries.driver.load_module(&handle, bytes.baseAddress)
        }
        try CUDAStream.attempt(stream.libraries, status, "loading the kernels of \(module.source)")
        let address = UInt(bitPattern: handle)
        return modules.withLock { modules in
            modules[module] = modules[module] ?? address
            return modules[module] ?? address
        }
    }

    private func code(of module: KernelModule) throws(DeviceError) -> [UInt8] {
        let text = try Self.text(of: module.source)
        let options = module.options(architecture: stream.properties.architecture)
        let key = (options + [version(), text]).joined(separator: "\n")
        if let kept = store.code(for: key) { return kept }
        let code = try Self.compile(text, name: "\(module.source).cu", options: options, stream.libraries)
        store.keep(code, for: key)
        return code
    }

    private func version() -> String {
        var major: Int32 = 0, minor: Int32 = 0
        _ = unsafe stream.libraries.compiler.version(&major, &minor)
        return "\(major).\(minor)"
    }

    /// The whole text of a source.
    static func text(of source: String) throws(DeviceError) -> String {
        // Safe: both are constants that end with a zero byte.
        guard let common = unsafe vireo_kernel_source("common"), let own = unsafe vireo_kernel_source(source)
        else {
            throw .failed("there are no kernels named \(source)")
        }
        return unsafe String(cString: common) + "#line 1 \"\(source).cu\"\n" + String(cString: own)
    }

    /// Compiles `text` to code for a device; throws with the compiler's messages.
    static func compile(
        _ text: String, name: String, options: [String], _ libraries: CUDALibraries,
    ) throws(DeviceError) -> [UInt8] {
        let compiler = libraries.compiler
        var program: UnsafeMutableRawPointer?
        guard unsafe compiler.create(&program, text, name, 0, nil, nil) == 0 else {
            throw .failed("the CUDA compiler does not start")
        }
        defer { unsafe _ = compiler.destroy(&program) }
        let strings = unsafe options.map { unsafe strdup($0) }
        defer { unsafe strings.forEach { unsafe free($0) } }
        let status = unsafe compiler.compile(
            program, Int32(options.count), strings.map { unsafe UnsafePointer($0) })
        var size = 0
        guard status == 0 else {
            unsafe _ = compiler.log_size(program, &size)
            var log = [CChar](repeating: 0, count: size + 1)
            unsafe _ = compiler.log(program, &log)
            let message = String(
                decoding: log.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw .failed("\(name) does not compile (\(options.joined(separator: " "))):\n\(message)")
        }
        guard unsafe compiler.code_size(program, &size) == 0, size > 0 else {
            throw .failed("the CUDA compiler made no code of \(name)")
        }
        var code = [UInt8](repeating: 0, count: size)
        let read = unsafe code.withUnsafeMutableBytes { bytes in
            unsafe compiler.code(program, bytes.baseAddress?.assumingMemoryBound(to: CChar.self))
        }
        guard read == 0 else { throw .failed("the CUDA compiler gives no code of \(name)") }
        return code
    }
}

extension KernelModule {
    /// What tells it from others.
    var key: String { ([source] + definitions).joined(separator: " ") }

    private var definitions: [String] {
        settings.sorted { $0.key < $1.key }.map { "-D\($0.key)=\($0.value)" }
    }

    /// The compiler's options.
    func options(architecture: String) -> [String] {
        ["--gpu-architecture=\(architecture)", "--std=c++17", "-diag-suppress=177"] + definitions
    }
}
