import CCUDA
import Synchronization
import Tensors

/// Products by cuBLASLt.
///
/// Thread-safe as far as one queue is.
final class Matmul: @unchecked Sendable {
    // Safe: the handle is written once and may be used by any thread; the choices are in a mutex.
    let stream: CUDAStream
    private let handle: UInt
    let workspace: Storage
    let store: KernelStore
    let choices = Mutex(ProductChoices())

    init(stream: CUDAStream, workspace: Storage, store: KernelStore) throws(DeviceError) {
        stream.enter()
        var handle: UnsafeMutableRawPointer?
        guard unsafe stream.libraries.blas.create(&handle) == 0 else {
            throw .failed("cuBLASLt does not start")
        }
        self.handle = UInt(bitPattern: handle)
        self.stream = stream
        self.workspace = workspace
        self.store = store
    }

    /// Enqueues out[t, n] = Σₖ x[t, k] · w[n, k] + bias[n], plus what is in out when it `adds`.
    ///
    /// x is bf16 [T, K], w bf16 [N, K], out bf16 or f32 [T, N], bias [N] of the type of out.
    func multiply(_ x: Tensor, _ w: Tensor, bias: Tensor?, adds: Bool, out: Tensor) {
        let rows = x.elementCount / max(1, w.shape.columnCount)
        guard rows > 0 else { return }
        let product = Product(
            outputs: w.shape[0], inputs: w.shape[1], outIsFloat: out.elementType == .f32,
            hasBias: bias != nil, adds: adds)
        let call = ProductCall(rows: rows, x: x, w: w, bias: bias, out: out)
        choices.withLock { $0.note(call, of: product) }
        stream.enter()
        guard let choice = choice(product, rows: rows) else {
            stream.note(1, "choosing a product of \(product.outputs) × \(product.inputs)")
            return
        }
        let work = KernelWork(
            bytes: x.byteCount + w.byteCount + out.byteCount * (adds ? 2 : 1),
            operations: 2 * rows * product.outputs * product.inputs)
        stream.profile.measure("cuBLASLt \(product.outputs) × \(product.inputs)", work, on: stream) {
            var status = run(product, call, choice)
            // What was chosen for more rows need not do for these.
            if status != 0, let exact = guesses(product, rows: rows, atMost: 1).first {
                status = run(product, call, exact)
            }
            stream.note(status, "a product of \(rows) × \(product.outputs) × \(product.inputs)")
        }
    }

    /// Enqueues `call` by `choice`; answers an error or 0.
    func run(_ product: Product, _ call: ProductCall, _ choice: vireo_matmul_choice) -> Int32 {
        var blas = stream.libraries.blas, shape = product.shape(rows: call.rows), choice = choice
        return unsafe vireo_matmul(
            &blas, UnsafeMutableRawPointer(bitPattern: handle), &shape, &choice, UInt64(call.x.address),
            UInt64(call.w.address), UInt64(call.bias?.address ?? 0), UInt64(call.out.address),
            UInt64(workspace.address), workspace.byteCount, stream.handle)
    }

    private func choice(_ product: Product, rows: Int) -> vireo_matmul_choice? {
        let bucket = Self.bucket(rows)
        if let known = choices.withLock({ $0.choice(product, rows: bucket) }) { return known }
        if choices.withLock({ $0.isNew(product) }) {
            let kept = kept(product)
            choices.withLock { $0.keep(kept, of: product) }
            if let known = kept[bucket] { return known }
        }
        let found = guesses(product, rows: bucket, atMost: 1).first
        if let found { choices.withLock { $0.guess(found, product, rows: bucket) } }
        return found
    }

    /// The library's guesses, the best first.
    func guesses(_ product: Product, rows: Int, atMost wanted: Int) -> [vireo_matmul_choice] {
        var blas = stream.libraries.blas, shape = product.shape(rows: rows)
        return unsafe [vireo_matmul_choice](unsafeUninitializedCapacity: wanted) { buffer, count in
            // Safe: at most as many are written.
            count = Int(
                unsafe vireo_matmul_choices(
                    &blas, UnsafeMutableRawPointer(bitPattern: handle), &shape, workspace.byteCount,
                    buffer.baseAddress, Int32(wanted)))
        }
    }

    /// The number of rows that a choice is made for: one for many, so that choices are found again.
    static func bucket(_ rows: Int) -> Int {
        let step = rows <= 64 ? 16 : rows <= 1024 ? 64 : 256
        return (rows + step - 1) / step * step
    }
}
