import Tensors

extension CheckedPair {
    /// Compares every operator over random shapes, odd ones among them.
    ///
    /// An error of the device ends the part it comes up in, as a finding.
    package func checkOperators() {
        let parts: [(String, () throws(DeviceError) -> Void)] = [
            ("linear", checkLinear), ("norms", checkNorms), ("rows", checkRows), ("vision", checkVision),
            ("full attention", checkFullAttention), ("unequal sequences", checkUnequalSequences),
            ("rotation", checkRotation), ("paged attention", checkPagedAttention),
            ("windows", checkSights), ("mixtures", checkExperts), ("sample", checkSampling),
            ("pictures", checkPictures),
        ]
        for (name, body) in parts {
            do throws(DeviceError) { try body() } catch { expect(name, "\(error)", false) }
        }
    }

    // Both sides round to bf16 at the same places but for sums, so results differ by about a rounding, 2⁻⁹.
    private static let tolerance = 4e-3

    private func checkLinear() throws(DeviceError) {
        let shapes = [
            (1, 96, 64), (1, 33, 128), (2, 576, 576), (3, 100, 200), (5, 64, 1536), (8, 1000, 72),
            (9, 130, 320),
            (16, 256, 256), (17, 260, 512), (33, 144, 640), (64, 4608, 896), (65, 96, 64), (100, 520, 1024),
            (1025, 384, 256),
        ]
        for (m, n, k) in shapes {
            let x = try operand(numbers(m * k), [m, k]), stream = try floats(numbers(m * k, size: 3), [m, k])
            let norm = try floats(numbers(k).map { 1 + 0.1 * $0 }, [k])
            for hasBias in [false, true] {
                let values = numbers(2 * n * k, size: 0.05), bias = hasBias ? numbers(2 * n) : nil
                let single = try weights(
                    Array(values.prefix(n * k)), [n, k], bias: bias.map { Array($0.prefix(n)) },
                    scale: hasBias ? numbers(n) : nil)
                let double = try weights(values, [2 * n, k], bias: bias)
                let plain = try weights(
                    Array(values.prefix(n * k)), [n, k], bias: bias.map { Array($0.prefix(n)) })
                let what = "\(m)×\(n)×\(k)\(hasBias ? " with bias" : "")"
                for normed in [false, true] {
                    let name = "linear\(normed ? " of normed rows" : "")"
                    let scratch = try poisonedOperand([m, k])
                    func input(_ twin: KeyPath<Twin, Tensor>) -> LinearInput {
                        normed
                            ? .rmsNorm(
                                stream[keyPath: twin], weight: norm[keyPath: twin], epsilon: 1e-6,
                                scratch: scratch[keyPath: twin])
                            : .rows(x[keyPath: twin])
                    }
                    func run(
                        _ end: String, _ weights: (reference: any LinearWeights, device: any LinearWeights),
                        _ epilogue: (KeyPath<Twin, Tensor>) -> LinearEpilogue, into out: Twin,
                    ) throws(DeviceError) {
                        reference.operators.linear(
                            input(\.reference), weights.reference, epilogue: epilogue(\.reference),
                            out: out.reference)
                        device.operators.linear(
                            input(\.device), weights.device, epilogue: epilogue(\.device), out: out.device)
                        try compare(name, "\(what), \(end)", out, tolerance: Self.tolerance)
                    }
                    try run("operand", plain, { _ in .none }, into: try poisonedOperand([m, n]))
                    try run("f32", plain, { _ in .none }, into: try poisonedFloats([m, n]))
                    for kind in [GELU.exact, .tanh, .logistic] {
                        try run(
                            "\(kind) gelu", plain, { _ in .gelu(kind) }, into: try poisonedOperand([m, n]))
                    }
                    try run(
                        "added", single, { _ in .addToOutput }, into: try floats(numbers(m * n), [m, n]))
                    let both = try poisonedOperand([m, 2 * n])
                    try run(
                        "gated", double, { .siluMultiply(scratch: both[keyPath: $0]) },
                        into: try poisonedOperand([m, n]))
                    try run(
                        "gated by a gelu", double, { .geluMultiply(scratch: both[keyPath: $0]) },
                        into: try poisonedOperand([m, n]))
                }
            }
        }
    }

    private func checkNorms() throws(DeviceError) {
        for (rows, columns) in [(1, 64), (3, 100), (7, 896), (33, 1024), (2, 3584), (5, 8192), (300, 576)] {
            let x = try floats(numbers(rows * columns, size: 4), [rows, columns])
            let weight = try floats(numbers(columns), [columns]),
                bias = try floats(numbers(columns), [columns])
            let rms = try poisonedOperand([rows, columns]), layer = try poisonedOperand([rows, columns])
            reference.operators.rmsNorm(
                x.reference, weight: weight.reference, epsilon: 1e-6, out: rms.reference)
            device.operators.rmsNorm(x.device, weight: weight.device, epsilon: 1e-6, out: rms.device)
            try compare("rmsNorm", "\(rows)×\(columns)", rms, tolerance: Self.tolerance)
            let summed = try floats(numbers(rows * columns), [rows, columns])
            let spent = try floats(numbers(rows * columns, size: 4), [rows, columns])
            reference.operators.addNorm(
                spent.reference, weight: weight.reference, epsilon: 1e-6, to: summed.reference)
            device.operators.addNorm(
                spent.device, weight: weight.device, epsilon: 1e-6, to: summed.device)
            try compare("addNorm", "\(rows)×\(columns)", summed, tolerance: 1e-5)
            reference.operators.layerNorm(
                x.reference, weight: weight.reference, bias: bias.reference, epsilon: 1e-6,
                out: layer.reference)
            device.operators.layerNorm(
                x.device, weight: weight.device, bias: bias.device, epsilon: 1e-6, out: layer.device)
            try compare("layerNorm", "\(rows)×\(columns)", layer, tolerance: Self.tolerance)
            let wide = try poisonedFloats([rows, columns])
            reference.operators.layerNorm(
                x.reference, weight: weight.reference, bias: bias.reference, epsilon: 1e-6,
                out: wide.reference)
            device.operators.layerNorm(
                x.device, weight: weight.device, bias: bias.device, epsilon: 1e-6, out: wide.device)
            try compare("layerNorm", "\(rows)×\(columns) in f32", wide, tolerance: 1e-5)
            let fused = try operand(numbers(rows * 3 * columns), [rows, 3 * columns])
            reference.operators.rmsNorm(
                fused.reference, columns: columns..<(2 * columns), weight: weight.reference, epsilon: 1e-6)
            device.operators.rmsNorm(
                fused.device, columns: columns..<(2 * columns), weight: weight.device, epsilon: 1e-6)
            try compare("rmsNorm in place", "\(rows)×\(columns)", fused, tolerance: Self.tolerance)
            let ranges = [0..<columns, columns..<(2 * columns)]
            let squares = try floats([Float](repeating: 0, count: 4 * rows), [rows, 4])
            reference.operators.sumSquares(fused.reference, columns: ranges, out: squares.reference)
            device.operators.sumSquares(fused.device, columns: ranges, out: squares.device)
            try compare("sumSquares", "\(rows)×\(columns)", squares, tolerance: Self.tolerance)
            reference.operators.scaleColumns(
                fused.reference, columns: ranges[1], weight: weight.reference, squares: squares.reference,
                column: 0, count: columns, epsilon: 1e-6)
            device.operators.scaleColumns(
                fused.device, columns: ranges[1], weight: weight.device, squares: squares.device, column: 0,
                count: columns, epsilon: 1e-6)
            try compare("scaleColumns", "\(rows)×\(columns)", fused, tolerance: Self.tolerance)
        }
    }

    private func checkRows() throws(DeviceError) {
        for (count, columns) in [(1, 64), (5, 100), (40, 896), (600, 576)] {
            let x = try floats(numbers(50 * columns), [50, columns])
            let picks = try integers((0..<count).map { _ in Int32(below(50)) }, [count])
            let gathered = try poisonedFloats([count, columns])
            reference.operators.gatherRows(x.reference, rows: picks.reference, out: gathered.reference)
            device.operators.gatherRows(x.device, rows: picks.device, out: gathered.device)
            try compare("gatherRows", "\(count)×\(columns)", gathered, tolerance: 0)
            let narrow = try poisonedOperand([count, columns])
            reference.operators.gatherRows(x.reference, rows: picks.reference, out: narrow.reference)
            device.operators.gatherRows(x.device, rows: picks.device, out: narrow.device)
            try compare("gatherRows", "\(count)×\(columns) as operand", narrow, tolerance: Self.tolerance)

            for terms in [1, 4] {
                let added = try floats(numbers(count * columns), [count, columns])
                let places = try integers(
                    (0..<(count * terms)).map { _ in Int32(below(51) - 1) }, [count, terms])
                let shares = try floats(numbers(count * terms), [count, terms])
                reference.operators.addRows(
                    of: x.reference, rows: places.reference, weights: terms == 1 ? nil : shares.reference,
                    to: added.reference)
                device.operators.addRows(
                    of: x.device, rows: places.device, weights: terms == 1 ? nil : shares.device,
                    to: added.device)
                try compare("addRows", "\(count)×\(columns), \(terms) terms", added, tolerance: 1e-6)
            }

            let emptied = try poisonedFloats([count, columns])
            reference.operators.clear(emptied.reference)
            device.operators.clear(emptied.device)
            try compare("clear", "\(count)×\(columns)", emptied, tolerance: 0)

            let table = try stored(numbers(70 * columns), [70, columns])
            let ids = try integers(
                (0..<count).map { Int32($0 % 3 == 2 ? -1 - below(4) : below(70)) }, [count])
            let previous = try integers((0..<4).map { _ in Int32(below(70)) }, [4])
            let rows = try integers((0..<count).map { _ in Int32(below(2) == 0 ? -1 : below(50)) }, [count])
            let embedded = try poisonedFloats([count, columns])
            // All of the vocabulary, and a part of it with other sizes.
            for (firstID, scale) in [(0, Float(1)), (23, 7.5)] {
                reference.operators.embed(
                    ids: ids.reference, previous: previous.reference, imageRows: rows.reference,
                    table: table.reference, firstID: firstID, scale: scale, images: x.reference,
                    out: embedded.reference)
                device.operators.embed(
                    ids: ids.device, previous: previous.device, imageRows: rows.device, table: table.device,
                    firstID: firstID, scale: scale, images: x.device, out: embedded.device)
                try compare("embed", "\(count)×\(columns) from \(firstID)", embedded, tolerance: 0)
            }

            let placed = try floats(numbers(count * (columns + 9)), [count, columns + 9])
            let part = try floats(numbers(count * columns), [count, columns])
            reference.operators.placeColumns(part.reference, at: 5, of: placed.reference)
            device.operators.placeColumns(part.device, at: 5, of: placed.device)
            try compare("placeColumns", "\(count)×\(columns)", placed, tolerance: 0)

            let faults = try integers([7], [1])
            device.operators.countFaults(x.device, out: faults.device)
            expect("countFaults", "none", try device.readIntegers(faults.device) == [0])
            var values = numbers(count * columns)
            values[below(values.count)] = below(2) == 0 ? .nan : .infinity
            let broken = try floats(values, [count, columns])
            device.operators.countFaults(broken.device, out: faults.device)
            expect("countFaults", "one", try device.readIntegers(faults.device) != [0])
        }
    }

    private func checkVision() throws(DeviceError) {
        for (count, size, patch, width) in [
            (1, 28, 14, 64), (3, 56, 14, 96), (2, 448, 14, 128), (2, 32, 4, 72),
        ] {
            let tiles = try bytes(
                (0..<(count * size * size * 3)).map { _ in UInt8(below(256)) }, [count, size, size, 3])
            let side = size / patch, patches = side * side
            let rows = try poisonedOperand([count * patches, 3 * patch * patch])
            let mean: [Float] = [0.485, 0.456, 0.406], deviation: [Float] = [0.229, 0.224, 0.225]
            reference.operators.patchRows(
                tiles: tiles.reference, patchSize: patch, mean: mean, deviation: deviation,
                out: rows.reference)
            device.operators.patchRows(
                tiles: tiles.device, patchSize: patch, mean: mean, deviation: deviation, out: rows.device)
            try compare("patchRows", "\(count)×\(size)/\(patch)", rows, tolerance: Self.tolerance)

            let embedded = try operand(numbers(count * patches * width), [count * patches, width])
            let token = try floats(numbers(width), [width])
            let positions = try floats(numbers((1 + patches) * width), [1 + patches, width])
            let sums = try poisonedFloats([count, 1 + patches, width])
            reference.operators.addPositions(
                patches: embedded.reference, classToken: token.reference, positions: positions.reference,
                out: sums.reference)
            device.operators.addPositions(
                patches: embedded.device, classToken: token.device, positions: positions.device,
                out: sums.device)
            try compare("addPositions", "\(count)×\(patches)×\(width)", sums, tolerance: 1e-6)

            let joined = try poisonedFloats([count * patches / 4, 4 * width])
            reference.operators.pixelShuffle(sums.reference, side: side, out: joined.reference)
            device.operators.pixelShuffle(sums.device, side: side, out: joined.device)
            try compare("pixelShuffle", "\(count)×\(side)×\(width)", joined, tolerance: 1e-6)
        }
    }
}
