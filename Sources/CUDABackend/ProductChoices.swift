import CCUDA
import Tensors

/// A product of any number of rows.
struct Product: Hashable {
    let outputs: Int
    let inputs: Int
    let outIsFloat: Bool
    let hasBias: Bool
    let adds: Bool

    /// It with so many rows.
    func shape(rows: Int) -> vireo_matmul_shape {
        vireo_matmul_shape(
            rows: Int64(rows), outputs: Int64(outputs), inputs: Int64(inputs), out_is_f32: outIsFloat ? 1 : 0,
            has_bias: hasBias ? 1 : 0, adds: adds ? 1 : 0)
    }

    /// Whether it takes long enough for a difference to matter.
    var isLarge: Bool { outputs * inputs >= 1 << 20 }
}

/// A product's tensors.
struct ProductCall {
    let rows: Int
    let x: Tensor
    let w: Tensor
    let bias: Tensor?
    let out: Tensor
}

/// The algorithms of products.
struct ProductChoices {
    /// By product and rows, as many as a bucket's; `isMeasured` tells those that were the fastest from guesses.
    private var known: [Product: [Int: (choice: vireo_matmul_choice, isMeasured: Bool)]] = [:]
    /// The calls of most rows while products are watched; nil while they are not.
    private var watched: [Product: ProductCall]?

    /// Whether nothing is known of it, not even what was kept.
    func isNew(_ product: Product) -> Bool { known[product] == nil }

    func choice(_ product: Product, rows: Int) -> vireo_matmul_choice? { known[product]?[rows]?.choice }

    /// Whether the fastest is known.
    func isMeasured(_ product: Product, rows: Int) -> Bool { known[product]?[rows]?.isMeasured ?? false }

    /// Notes what was not measured, unless something is known.
    mutating func guess(_ choice: vireo_matmul_choice, _ product: Product, rows: Int) {
        if known[product]?[rows] == nil { known[product, default: [:]][rows] = (choice, false) }
    }

    /// Notes the fastest by rows, and that there is no more to read.
    mutating func keep(_ choices: [Int: vireo_matmul_choice], of product: Product) {
        known[product, default: [:]].merge(choices.mapValues { ($0, true) }) { $1 }
    }

    /// All that were measured.
    func measured(_ product: Product) -> [Int: vireo_matmul_choice] {
        (known[product] ?? [:]).filter(\.value.isMeasured).mapValues(\.choice)
    }

    /// Begins to watch calls.
    mutating func watch() { watched = [:] }

    /// The watched calls; none is watched any more.
    mutating func endWatching() -> [Product: ProductCall] {
        defer { watched = nil }
        return watched ?? [:]
    }

    /// Keeps a call that is watched, if it is the largest.
    mutating func note(_ call: ProductCall, of product: Product) {
        guard watched != nil, product.isLarge, call.rows > watched?[product]?.rows ?? 0 else { return }
        watched?[product] = call
    }
}
