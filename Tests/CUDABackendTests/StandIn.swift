import CCUDA
import CUDAStandIn
import Foundation
import Tensors
import Testing

@testable import CUDABackend

/// Tests with the stand-in for a GPU, one after another: there is one in a process.
@Suite(.serialized) struct CUDATests {}

/// The stand-in for CUDA, an H100 unless said otherwise.
enum StandIn {
    static let hopper = stand_in_gpu(
        driver_version: 13_000, count: 1, major: 9, minor: 0, processors: 132, shared_bytes: 232_448,
        memory_bytes: 1 << 30)
    static let ampere = stand_in_gpu(
        driver_version: 12_040, count: 1, major: 8, minor: 0, processors: 108, shared_bytes: 166_912,
        memory_bytes: 1 << 30)

    /// What consumers and inference servers have: less shared memory.
    static let ada = stand_in_gpu(
        driver_version: 12_080, count: 1, major: 8, minor: 9, processors: 142, shared_bytes: 101_376,
        memory_bytes: 1 << 30)

    /// A kernel that ran, or a product.
    struct Launch {
        let name: String
        let grid: [Int]
        let block: Int
        let shared: Int
        let overlaps: Bool
        let parameters: [UInt64]

        func float(_ place: Int) -> Float { Float(bitPattern: UInt32(truncatingIfNeeded: parameters[place])) }
    }

    /// Begins anew with such GPUs.
    static func reset(_ gpu: stand_in_gpu = hopper) -> CUDALibraries {
        stand_in_reset(gpu)
        return CUDALibraries(driver: stand_in_driver(), compiler: stand_in_compiler(), blas: stand_in_blas())
    }

    /// A device on such GPUs; nothing is counted yet.
    static func device(_ gpu: stand_in_gpu = hopper) throws -> CUDADevice {
        try CUDADevice(libraries: reset(gpu), ordinal: 0, store: KernelStore(folder: nil))
    }

    /// The next `times` calls of `function` after `after` more answer `error`.
    static func fail(_ function: String, _ error: Int32, after: Int = 0, times: Int = 1) {
        unsafe stand_in_fail(function, error, Int32(after), Int32(times))
    }

    static func calls(_ function: String) -> Int { Int(unsafe stand_in_calls(function)) }

    /// Names and options of what was compiled.
    static var compilations: [String] {
        (0..<stand_in_compilation_count()).compactMap { index in
            unsafe stand_in_compilation(index).map { unsafe String(cString: $0) }
        }
    }

    /// What ran so far, in order.
    static var launches: [Launch] {
        (0..<stand_in_launch_count()).map { index in
            let launch = stand_in_launch_at(index), grid = launch.grid
            let name = unsafe stand_in_launch_name(index).map { unsafe String(cString: $0) }
            return Launch(
                name: name ?? "", grid: [Int(grid.0), Int(grid.1), Int(grid.2)], block: Int(launch.block),
                shared: Int(launch.shared), overlaps: launch.overlaps != 0,
                parameters: (0..<launch.parameter_count).map { stand_in_launch_parameter(index, $0) })
        }
    }
}

extension CUDADevice {
    /// What runs when `body` has enqueued its work.
    func launches(_ body: () throws -> Void) throws -> [StandIn.Launch] {
        try wait()
        let before = StandIn.launches.count
        try body()
        try wait()
        return Array(StandIn.launches.dropFirst(before))
    }

    /// Bytes of the device's memory.
    func bytes(at address: UInt64, count: Int) throws -> [UInt8] {
        let storage = Storage(address: UInt(address), byteCount: count) { _ in }
        return try bytes(Tensor(storage, shape: [count], elementType: .u8))
    }

    /// Bytes of a tensor.
    func bytes(_ tensor: Tensor) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: tensor.byteCount)
        try unsafe bytes.withUnsafeMutableBytes { unsafe try read(tensor, into: $0) }
        return bytes
    }
}

/// A tensor in the host's memory, as checkpoints have them.
func hostTensor<Value: BitwiseCopyable>(_ values: [Value], _ shape: Shape, _ type: ElementType) -> Tensor {
    let bytes = UnsafeMutableRawBufferPointer.allocate(
        byteCount: max(1, shape.elementCount * type.byteCount), alignment: 64)
    unsafe values.withUnsafeBytes {
        unsafe bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0.prefix(bytes.count)))
    }
    let storage = Storage(address: UInt(bitPattern: bytes.baseAddress), byteCount: bytes.count) { address in
        unsafe UnsafeMutableRawPointer(bitPattern: address)?.deallocate()
    }
    return Tensor(storage, shape: shape, elementType: type)
}

/// The nearest bf16, ties to even.
func bf16Bits(_ x: Float) -> UInt16 {
    let bits = x.bitPattern
    return UInt16(truncatingIfNeeded: (bits &+ 0x7fff &+ (bits >> 16 & 1)) >> 16)
}

/// The bytes of trivial values.
func bytes<Value: BitwiseCopyable>(_ values: [Value]) -> [UInt8] {
    unsafe values.withUnsafeBytes { unsafe Array($0) }
}

/// What `body` says when it fails.
func refusal(_ body: () throws -> Void) -> String {
    do {
        try body()
        return "nothing was refused"
    } catch { return "\(error)" }
}

/// A folder that goes when the value does.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "cuda-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The names of its files.
    var files: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }
}
