import Synchronization
import Tensors

/// The kernels of experts.cu, compiled when a model has experts.
final class ExpertKernels: Sendable {
    /// Experts of a mixture, and those of a token, at most.
    static let mostExperts = 512
    static let mostChosen = 16

    /// Two products: gate and up with what follows, then down.
    struct Products: Sendable {
        let gated: CUDAKernel
        let down: CUDAKernel
        /// Rows of weights that a block takes; a warp's, of few rows.
        let rowCount: Int
        let threads: Int
        /// Shared memory of a block.
        let shared: Int
        /// Blocks that the GPU runs at once.
        let residentBlocks: Int
    }

    /// All of them.
    struct Loaded: Sendable {
        let routeFew, choose, place, add: CUDAKernel
        let few: Products
        let tiles64: Products
        let tiles128: Products
    }

    private let stream: CUDAStream
    private let compiler: KernelCompiler
    private let known = Mutex<Loaded?>(nil)

    init(_ stream: CUDAStream, _ compiler: KernelCompiler) {
        self.stream = stream
        self.compiler = compiler
    }

    /// Compiles or finds them.
    @discardableResult
    func load() throws(DeviceError) -> Loaded {
        if let loaded = known.withLock(\.self) { return loaded }
        let module = KernelModule(source: "experts")
        func products(
            _ kind: String, rows: Int, threads: Int, shared: Int,
        ) throws(DeviceError) -> Products {
            let gated = try compiler.kernel("experts_\(kind)_gated", module, shared: shared)
            let down = try compiler.kernel("experts_\(kind)_down", module, shared: shared)
            return Products(
                gated: gated, down: down, rowCount: rows, threads: threads, shared: shared,
                residentBlocks: stream.residentBlocks(gated, threads: threads, shared: shared))
        }
        // Rings of steps: six of 2 KiB for each of four warps; four, and three, of rows of 80 bytes.
        let loaded = Loaded(
            routeFew: try compiler.kernel("route_few", module),
            choose: try compiler.kernel("choose_experts", module),
            place: try compiler.kernel("place_experts", module),
            add: try compiler.kernel("add_experts", module),
            few: try products("few", rows: 16, threads: 128, shared: 4 * 6 * 2048),
            tiles64: try products("64", rows: 128, threads: 128, shared: 4 * (64 + 128) * 80),
            tiles128: try products("128", rows: 256, threads: 256, shared: 3 * (128 + 256) * 80))
        known.withLock { $0 = loaded }
        return loaded
    }
}

/// What becomes of a mixture's tokens: which kernels take them, and where in the scratch their parts lie.
struct ExpertPlan: Equatable {
    /// Which products.
    enum Kind: Equatable {
        /// Few rows an expert: as long as reading the weights takes.
        case few
        /// Tiles of so many rows.
        case tiles64, tiles128
    }

    /// Pairs of `route_few`.
    static let mostFewPairs = 4096

    let kind: Kind
    /// Tokens with one of their experts each.
    let pairCount: Int
    /// Places of a run at most.
    let mostPlaces: Int
    /// Runs at most.
    let mostRuns: Int
    /// Experts that tokens go to if they choose evenly.
    let usualExperts: Int

    /// Takes `tokenCount` > 0 tokens that choose `topCount` of `expertCount`.
    init(tokenCount: Int, topCount: Int, expertCount: Int) {
        pairCount = tokenCount * topCount
        let each = pairCount / expertCount
        kind =
            each < 16 && pairCount <= Self.mostFewPairs ? .few : each < 96 ? .tiles64 : .tiles128
        mostPlaces = kind == .few ? 32 : kind == .tiles64 ? 64 : 128
        mostRuns = min(pairCount, expertCount + pairCount / mostPlaces)
        var left = 1.0
        for _ in 0..<min(tokenCount, 4096) { left *= 1 - Double(topCount) / Double(expertCount) }
        usualExperts = max(1, Int(Double(expertCount) * (1 - left) + 0.5))
    }

    /// The parts of the scratch, by where they begin in bytes.
    struct Parts: Equatable {
        /// f32 [pairs], i32 [pairs], i32 [pairs]: the pairs' shares and places, the places' tokens.
        let shares, places, tokens: Int
        /// u16 [pairs]: the pairs' experts, where not few.
        let chosen: Int
        /// i32 [experts], i32: pairs of each, where not few; the number of runs.
        let counts, runCount: Int
        /// [runs] of 16 bytes.
        let runs: Int
        /// bf16 [pairs, I], f32 [pairs, H].
        let half, out: Int
        /// Bytes of all.
        let byteCount: Int
    }

    /// The parts for experts of `width` values on rows of `hidden`.
    func parts(expertCount: Int, width: Int, hidden: Int) -> Parts {
        var next = 0
        func take(_ byteCount: Int) -> Int {
            defer { next += (byteCount + 63) / 64 * 64 }
            return next
        }
        return Parts(
            shares: take(pairCount * 4), places: take(pairCount * 4), tokens: take(pairCount * 4),
            chosen: take(pairCount * 2), counts: take(expertCount * 4), runCount: take(4),
            runs: take(mostRuns * 16), half: take(pairCount * width * 2), out: take(pairCount * hidden * 4),
            byteCount: next)
    }
}
