import Glibc
import Tensors

/// Functions of the C library by names that do not clash.
enum Math {
    static func log(_ value: Double) -> Double { Glibc.log(value) }
    static func pow(_ base: Double, _ exponent: Double) -> Double { Glibc.pow(base, exponent) }
    static func cos(_ value: Double) -> Double { Glibc.cos(value) }
    static func sin(_ value: Double) -> Double { Glibc.sin(value) }
}

/// Angles of the rotary embedding, as transformers computes them:
/// https://github.com/huggingface/transformers/blob/main/src/transformers/modeling_rope_utils.py
extension RotaryShape {
    /// The table of `positions` rows for heads of `headDim` values, on `device`.
    ///
    /// Angles are products of f32 numbers, position · frequency, since models are trained with that rounding.
    func table(positions: Int, headDim: Int, device: any Device) throws(DeviceError) -> RotaryTable {
        let pairs = pairCount(headDim: headDim)
        let cosines = try device.makeTensor([positions, pairs], .f32)  // [positions, pairs]
        let sines = try device.makeTensor([positions, pairs], .f32)  // [positions, pairs]
        for start in stride(from: 0, to: positions, by: 4096) {
            let block = start..<min(start + 4096, positions)
            let angles = angles(of: block, width: 2 * pairs)  // [block, pairs]
            device.write(angles.map { Float(Math.cos($0) * attention) }, to: cosines[block])
            device.write(angles.map { Float(Math.sin($0) * attention) }, to: sines[block])
        }
        guard let axes else { return RotaryTable(cosines: cosines, sines: sines) }
        let table = try device.makeTensor([pairs], .i32)  // [pairs]
        device.write(axes, to: table)
        return RotaryTable(cosines: cosines, sines: sines, axes: table)
    }

    /// The angles of `positions`, [positions, width / 2].
    fileprivate func angles(of positions: Range<Int>, width: Int) -> [Double] {
        var frequencies = frequencies(width: width, length: positions.lowerBound + 1)
        return positions.flatMap { position in
            if changes(at: position) { frequencies = self.frequencies(width: width, length: position + 1) }
            return frequencies.map { Double(Float(position) * $0) }
        }
    }

    /// Whether frequencies of sequences that end at `position` may differ from those of shorter ones.
    private func changes(at position: Int) -> Bool {
        switch scaling {
        case .none, .linear, .llama3, .yarn: false
        case .dynamic(_, let trained, let length): length == nil && position >= trained
        case .longRope(_, _, let trained, _, let length): length == nil && position == trained
        }
    }

    /// What cosines and sines are multiplied by.
    private var attention: Double {
        switch scaling {
        case .none, .linear, .dynamic, .llama3: 1
        case .yarn(_, _, _, _, _, let attention), .longRope(_, _, _, let attention, _): attention
        }
    }

    /// The frequency of each pair of the `width` values that turn, [width / 2], in a sequence of `length`.
    private func frequencies(width: Int, length: Int) -> [Float] {
        switch scaling {
        case .none: return plain(width, base: base)
        case .linear(let factor): return plain(width, base: base).map { $0 / Float(factor) }
        case .dynamic(let factor, let trained, let fixed):
            let length = max(fixed ?? length, trained)
            let growth = factor * Double(length) / Double(trained) - (factor - 1)
            let exponent = width > 2 ? Double(width) / Double(width - 2) : 1
            return plain(width, base: base * Math.pow(growth, exponent))
        case .llama3(let factor, let low, let high, let trained):
            return plain(width, base: base).map { frequency in
                // How many turns the pair makes within the trained length decides.
                let turns = Double(trained) * Double(frequency) / (2 * .pi)
                if turns < low { return frequency / Float(factor) }
                if turns > high { return frequency }
                let blend = (turns - low) / (high - low)
                return Float((1 - blend) * Double(frequency) / factor + blend * Double(frequency))
            }
        case .yarn(let factor, let trained, let fast, let slow, let truncates, _):
            return yarn(width, factor: factor, trained: trained, turns: (fast, slow), truncates: truncates)
        case .longRope(let short, let long, let trained, _, let fixed):
            let factors = fixed ?? length > trained ? long : short
            return plain(width, base: base, factors: factors)
        }
    }

    /// 1 / (factors[i] · base^(2i / width)), without factors 1 / base^(2i / width).
    private func plain(_ width: Int, base: Double, factors: [Float]? = nil) -> [Float] {
        (0..<(width / 2)).map { index in
            let wavelength = Float(Math.pow(base, Double(2 * index) / Double(width)))
            return 1 / (factors.map { $0[index] * wavelength } ?? wavelength)
        }
    }

    /// Frequencies of pairs that turn more often than `turns.0` within the trained length kept, of those that turn less
    /// often than `turns.1` divided by `factor`, with a linear ramp over the pairs between.
    private func yarn(
        _ width: Int, factor: Double, trained: Int, turns: (Double, Double), truncates: Bool,
    ) -> [Float] {
        /// The index of the pair that makes so many turns.
        func pair(turning count: Double) -> Double {
            Double(width) * Math.log(Double(trained) / (count * 2 * .pi)) / (2 * Math.log(base))
        }
        let ends = (pair(turning: turns.0), pair(turning: turns.1))
        let low = max(truncates ? ends.0.rounded(.down) : ends.0, 0)
        var high = min(truncates ? ends.1.rounded(.up) : ends.1, Double(width - 1))
        if low == high { high += 0.001 }
        return plain(width, base: base).enumerated().map { index, frequency in
            let ramp = Float(min(max((Double(index) - low) / (high - low), 0), 1))
            return frequency / Float(factor) * ramp + frequency * (1 - ramp)
        }
    }
}

extension RotaryTable {
    /// The table for patches of a picture, whose heads' values turn one half of the pairs by the row, the other by the
    /// column, with the same frequencies (Qwen2-VL, https://arxiv.org/abs/2409.12191, section 2.1).
    static func plane(positions: Int, headDim: Int, device: any Device) throws(DeviceError) -> RotaryTable {
        let each = headDim / 4
        let half = RotaryShape().angles(of: 0..<positions, width: 2 * each)  // [positions, each]
        var cosines: [Float] = [], sines: [Float] = []
        for position in 0..<positions {
            let row = half[(position * each)..<((position + 1) * each)]
            for _ in 0..<2 {
                cosines += row.map { Float(Math.cos($0)) }
                sines += row.map { Float(Math.sin($0)) }
            }
        }
        let table = RotaryTable(
            cosines: try device.makeTensor([positions, 2 * each], .f32),
            sines: try device.makeTensor([positions, 2 * each], .f32),
            axes: try device.makeTensor([2 * each], .i32))
        device.write(cosines, to: table.cosines)
        device.write(sines, to: table.sines)
        if let axes = table.axes { device.write((0..<(2 * each)).map { Int32($0 / each) }, to: axes) }
        return table
    }
}
