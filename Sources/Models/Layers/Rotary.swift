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
        let half = headDim / 2
        let cosines = try device.makeTensor([positions, half], .f32)  // [positions, half]
        let sines = try device.makeTensor([positions, half], .f32)  // [positions, half]
        for start in stride(from: 0, to: positions, by: 4096) {
            let block = start..<min(start + 4096, positions)
            let angles = angles(of: block, headDim: headDim)  // [block, half]
            device.write(angles.map { Float(Math.cos($0) * attention) }, to: cosines[block])
            device.write(angles.map { Float(Math.sin($0) * attention) }, to: sines[block])
        }
        return RotaryTable(cosines: cosines, sines: sines)
    }

    /// The angles of `positions`, [positions, headDim / 2].
    private func angles(of positions: Range<Int>, headDim: Int) -> [Double] {
        var frequencies = frequencies(headDim: headDim, length: 0)
        return positions.flatMap { position in
            if case .dynamic(_, let trained, nil) = scaling, position >= trained {
                frequencies = self.frequencies(headDim: headDim, length: position + 1)
            }
            return frequencies.map { Double(Float(position) * $0) }
        }
    }

    /// What cosines and sines are multiplied by.
    private var attention: Double {
        if case .yarn(_, _, _, _, _, let attention) = scaling { attention } else { 1 }
    }

    /// The frequency of each pair of values, [headDim / 2], in a sequence of `length`.
    private func frequencies(headDim: Int, length: Int) -> [Float] {
        switch scaling {
        case .none: return plain(headDim, base: base)
        case .linear(let factor): return plain(headDim, base: base).map { $0 / Float(factor) }
        case .dynamic(let factor, let trained, let fixed):
            let length = max(fixed ?? length, trained)
            let growth = factor * Double(length) / Double(trained) - (factor - 1)
            let exponent = headDim > 2 ? Double(headDim) / Double(headDim - 2) : 1
            return plain(headDim, base: base * Math.pow(growth, exponent))
        case .llama3(let factor, let low, let high, let trained):
            return plain(headDim, base: base).map { frequency in
                // How many turns the pair makes within the trained length decides.
                let turns = Double(trained) * Double(frequency) / (2 * .pi)
                if turns < low { return frequency / Float(factor) }
                if turns > high { return frequency }
                let blend = (turns - low) / (high - low)
                return Float((1 - blend) * Double(frequency) / factor + blend * Double(frequency))
            }
        case .yarn(let factor, let trained, let fast, let slow, let truncates, _):
            return yarn(headDim, factor: factor, trained: trained, turns: (fast, slow), truncates: truncates)
        }
    }

    /// 1 / base^(2i / headDim).
    private func plain(_ headDim: Int, base: Double) -> [Float] {
        (0..<(headDim / 2)).map { index in 1 / Float(Math.pow(base, Double(2 * index) / Double(headDim))) }
    }

    /// Frequencies of pairs that turn more often than `turns.0` within the trained length kept, of those that turn less
    /// often than `turns.1` divided by `factor`, with a linear ramp over the pairs between.
    private func yarn(
        _ headDim: Int, factor: Double, trained: Int, turns: (Double, Double), truncates: Bool,
    ) -> [Float] {
        /// The index of the pair that makes so many turns.
        func pair(turning count: Double) -> Double {
            Double(headDim) * Math.log(Double(trained) / (count * 2 * .pi)) / (2 * Math.log(base))
        }
        let ends = (pair(turning: turns.0), pair(turning: turns.1))
        let low = max(truncates ? ends.0.rounded(.down) : ends.0, 0)
        var high = min(truncates ? ends.1.rounded(.up) : ends.1, Double(headDim - 1))
        if low == high { high += 0.001 }
        return plain(headDim, base: base).enumerated().map { index, frequency in
            let ramp = Float(min(max((Double(index) - low) / (high - low), 0), 1))
            return frequency / Float(factor) * ramp + frequency * (1 - ramp)
        }
    }
}
