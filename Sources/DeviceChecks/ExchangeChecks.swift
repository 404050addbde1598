package import Tensors

/// What ranks exchange, against sums made on the host; and how long it takes.
package struct ExchangeChecks {
    private let devices: [any Device]
    private let collectives: [any Collective]

    /// Rank k is on `devices[k]` and meets the others by `collectives[k]`.
    package init(_ devices: [any Device], _ collectives: [any Collective]) {
        self.devices = devices
        self.collectives = collectives
    }

    private var count: Int { devices.count }

    /// What is wrong, in words; nothing where all is right.
    package func wrong() throws(DeviceError) -> [String] {
        var wrong: [String] = []
        // A few elements, a token, a batch, and what needs more than one exchange.
        for size in [4, 64, 3584, 64 * 3584, 1000 * 4096 + 4, (9 << 20) + 8] {
            for turn in 0..<3 where size < 1 << 22 || turn == 0 {
                let inputs = (0..<count).map { Self.numbers(size, $0 + turn) }
                let expected = (0..<size).map { index in inputs.reduce(0) { $0 + $1[index] } }
                let found = try run(inputs, [size / 4, 4]) { $0.sum($1) }
                for (rank, values) in found.enumerated() where values != expected {
                    wrong.append("sum of \(size) values, turn \(turn), rank \(rank)")
                }
            }
        }
        for (rows, columns) in [(1, 5), (7, 3), (64, 1000), (3000, 4096)] {
            let inputs = (0..<count).map { Self.numbers(rows * columns, $0) }
            for (name, length) in [("rows", rows), ("columns", columns)] {
                // The first has nothing but where it is alone; the last takes the rest.
                let ends = [0] + (0..<count).map { $0 == count - 1 ? length : length * $0 / count }
                let parts = (0..<count).map { ends[$0]..<ends[$0 + 1] }
                let found = try run(inputs, [rows, columns]) { collective, x in
                    name == "rows"
                        ? collective.share(x, parts: parts) : collective.shareColumns(x, parts: parts)
                }
                let expected = (0..<(rows * columns)).map { index in
                    let place = name == "rows" ? index / columns : index % columns
                    return inputs[parts.firstIndex { $0.contains(place) } ?? 0][index]
                }
                for (rank, values) in found.enumerated() where values != expected {
                    wrong.append("\(name) of \(rows) × \(columns), rank \(rank)")
                }
            }
        }
        if collectives.contains(where: \.isAbandoned) { wrong.append("a rank did not come in time") }
        return wrong
    }

    /// Microseconds of one sum of `byteCount` bytes, of `repetitions` one after another.
    package func microseconds(_ byteCount: Int, repetitions: Int = 50) throws(DeviceError) -> Double {
        let values = Self.numbers(byteCount / 4, 1)
        let tensors = try prepared([[Float]](repeating: values, count: count), [byteCount / 16, 4])
        let times = try each { (rank: Int) throws(DeviceError) -> Double in
            let x = tensors[rank]
            for _ in 0..<3 { collectives[rank].sum(x) }
            try devices[rank].wait()
            let start = ContinuousClock.now
            for _ in 0..<repetitions { collectives[rank].sum(x) }
            try devices[rank].wait()
            return (ContinuousClock.now - start) / .microseconds(repetitions)
        }
        return times.max() ?? 0
    }

    /// What `body` makes of each rank's input.
    private func run(
        _ inputs: [[Float]], _ shape: Shape, _ body: @escaping @Sendable (any Collective, Tensor) -> Void,
    ) throws(DeviceError) -> [[Float]] {
        let tensors = try prepared(inputs, shape)
        return try each { (rank: Int) throws(DeviceError) -> [Float] in
            body(collectives[rank], tensors[rank])
            return try devices[rank].readFloats(tensors[rank])
        }
    }

    /// Each rank's input on its device; memory is neither taken nor given back while ranks wait for each other, which a
    /// device may do only when it is idle.
    private func prepared(_ inputs: [[Float]], _ shape: Shape) throws(DeviceError) -> [Tensor] {
        try zip(devices, inputs).map { (device, values) throws(DeviceError) in
            let x = try device.makeTensor(shape, .f32)
            device.write(values, to: x)
            try device.wait()
            return x
        }
    }

    /// What each rank makes, all at once.
    private func each<Value: Sendable>(
        _ body: @escaping @Sendable (Int) throws(DeviceError) -> Value,
    ) throws(DeviceError) -> [Value] {
        try inParallel(count: count, threads: count, body)
    }

    /// Whole numbers, so that sums are exact in any order.
    private static func numbers(_ count: Int, _ seed: Int) -> [Float] {
        (0..<count).map { Float(($0 &* 7 &+ seed &* 13) % 31 - 15) }
    }
}
