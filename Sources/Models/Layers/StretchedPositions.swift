import Tensors

/// Learned positions of a square, stretched over the patches of another.
///
/// As PyTorch's bicubic interpolation does without aligned corners:
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.interpolate.html
struct StretchedPositions: Sendable {
    /// f32 [side², C].
    let table: Tensor
    /// i32 [P, 16] and f32 [P, 16]: the weighted sum of positions that a patch gets.
    private let rows: Tensor
    private let weights: Tensor
    private let operators: any Operators

    /// Takes the tensor `name` [side², width] for `target` × `target` patches.
    init(_ loader: Loader, _ name: String, side: Int, width: Int, over target: Int) throws(ModelError) {
        table = try loader.vector(name, shape: [side * side, width])
        let (positions, shares) = Self.terms(side: side, over: target), device = loader.device
        (rows, weights) = try ModelError.wrapping { () throws(DeviceError) in
            let rows = try device.makeTensor([target * target, 16], .i32)
            let weights = try device.makeTensor([target * target, 16], .f32)
            device.write(positions, to: rows)
            device.write(shares, to: weights)
            return (rows, weights)
        }
        operators = device.operators
    }

    /// Adds the positions to `stream`, f32 [n · P, C]: the same for each of n views.
    func add(to stream: Tensor) {
        let patchCount = rows.shape[0]
        for first in stride(from: 0, to: stream.shape[0], by: patchCount) {
            operators.addRows(
                of: table, rows: rows, weights: weights, to: stream[first..<(first + patchCount)])
        }
    }

    /// For each patch, row by row, sixteen positions of the square and their weights, which sum to one.
    static func terms(side: Int, over target: Int) -> (positions: [Int32], weights: [Float]) {
        let places = (0..<target).map { place($0, of: side, over: target) }
        var positions: [Int32] = [], weights: [Float] = []
        positions.reserveCapacity(16 * target * target)
        weights.reserveCapacity(16 * target * target)
        for down in places {
            for along in places {
                for (row, height) in down {
                    for (column, width) in along {
                        positions.append(Int32(row * side + column))
                        weights.append(Float(height * width))
                    }
                }
            }
        }
        return (positions, weights)
    }

    /// The four numbers of `side` that patch `index` of `target` lies between, and Keys' cubic of them with a = −0.75.
    private static func place(_ index: Int, of side: Int, over target: Int) -> [(Int, Double)] {
        let exact = (Double(index) + 0.5) * Double(side) / Double(target) - 0.5
        let below = exact.rounded(.down), a = -0.75
        return (-1...2).map { step in
            let distance = abs(exact - below - Double(step))
            let near: Double = ((a + 2) * distance - (a + 3)) * distance * distance + 1
            let far: Double = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
            // Safe: between −1 and twice the side.
            return (min(max(0, Int(below) + step), side - 1), distance <= 1 ? near : far)
        }
    }
}
