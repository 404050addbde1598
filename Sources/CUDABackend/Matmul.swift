import CCUDA
import Synchronization
import Tensors

/// Products by cuBLASLt.
///
/// Thread-safe as far as one queue is.
final class Matmul: @unchecked Sendable {
    // Safe: the handle is written once and may be used by any thread; the choices are in a mutex.
    private let stream: CUDAStream
    private let handle: UInt
    private let workspace: Storage
    private let choices = Mutex<[Key: vireo_matmul_choice]>([:])

    private struct Key: Hashable {
        let rows: Int
        let outputs: Int
        let inputs: Int
        let outIsFloat: Bool
        let hasBias: Bool
        let adds: Bool
    }

    init(stream: CUDAStream, workspace: Storage) throws(DeviceError) {
        stream.enter()
        var handle: UnsafeMutableRawPointer?
        guard unsafe stream.libraries.blas.create(&handle) == 0 else {
            throw .failed("cuBLASLt does not start")
        }
        self.handle = UInt(bitPattern: handle)
        self.stream = stream
        self.workspace = workspace
    }

    /// Enqueues out[t, n] = Σₖ x[t, k] · w[n, k] + bias[n], plus what is in out when it `adds`.
    ///
    /// x is bf16 [T, K], w bf16 [N, K], out bf16 or f32 [T, N], bias [N] of the type of out.
    func multiply(_ x: Tensor, _ w: Tensor, bias: Tensor?, adds: Bool, out: Tensor) {
        let rows = x.elementCount / max(1, w.shape.columnCount)
        guard rows > 0 else { return }
        let key = Key(
            rows: Self.bucket(rows), outputs: w.shape[0], inputs: w.shape[1],
            outIsFloat: out.elementType == .f32,
            hasBias: bias != nil, adds: adds)
        stream.enter()
        var shape = vireo_matmul_shape(
            rows: Int64(key.rows), outputs: Int64(key.outputs), inputs: Int64(key.inputs),
            out_is_f32: key.outIsFloat ? 1 : 0, has_bias: key.hasBias ? 1 : 0, adds: adds ? 1 : 0)
        guard var choice = choice(key, &shape) else {
            stream.note(1, "choosing a product of \(key.outputs) × \(key.inputs)")
            return
        }
        shape.rows = Int64(rows)
        var blas = stream.libraries.blas
        func run() -> Int32 {
            unsafe vireo_matmul(
                &blas, UnsafeMutableRawPointer(bitPattern: handle), &shape, &choice, UInt64(x.address),
                UInt64(w.address), UInt64(bias?.address ?? 0), UInt64(out.address), UInt64(workspace.address),
                workspace.byteCount, stream.handle)
        }
        let work = KernelWork(
            bytes: x.byteCount + w.byteCount + out.byteCount * (adds ? 2 : 1),
            operations: 2 * rows * key.outputs * key.inputs)
        stream.profile.measure("cuBLASLt \(key.outputs) × \(key.inputs)", work, on: stream) {
            var status = run()
            if status != 0, let exact = first(&shape) {
                // What was chosen for more rows need not do for these.
                choice = exact
                status = run()
            }
            stream.note(status, "a product of \(rows) × \(key.outputs) × \(key.inputs)")
        }
    }

    private func choice(_ key: Key, _ shape: inout vireo_matmul_shape) -> vireo_matmul_choice? {
        if let known = choices.withLock({ $0[key] }) { return known }
        let found = first(&shape)
        if let found { choices.withLock { $0[key] = found } }
        return found
    }

    private func first(_ shape: inout vireo_matmul_shape) -> vireo_matmul_choice? {
        var blas = stream.libraries.blas
        var choice = vireo_matmul_choice()
        let count = unsafe vireo_matmul_choices(
            &blas, UnsafeMutableRawPointer(bitPattern: handle), &shape, workspace.byteCount, &choice, 1)
        return count > 0 ? choice : nil
    }

    /// The number of rows that a choice is made for: one for many, so that choices are found again.
    static func bucket(_ rows: Int) -> Int {
        let step = rows <= 64 ? 16 : rows <= 1024 ? 64 : 256
        return (rows + step - 1) / step * step
    }
}
