package import Tensors

/// What a device reaches at best.
package struct DeviceRates: Sendable {
    /// Bytes read plus bytes written, by a kernel that copies.
    package let bytesPerSecond: Double
    /// Of a bf16 product of 8192³.
    package let operationsPerSecond: Double
}

extension CUDADevice {
    /// Measures the rates on random data: medians of several runs.
    package func measureRates() throws(DeviceError) -> DeviceRates {
        let count = 8192 * 8192
        let a = try makeTensor([8192, 8192], .bf16), b = try makeTensor([8192, 8192], .bf16)
        let out = try makeTensor([8192, 8192], .bf16)
        kernels.fillRandom(a, seed: 1, scale: 1 / 32_768)
        kernels.fillRandom(b, seed: 2, scale: 1 / 32_768)
        let copy = try median { self.kernels.copy(a, to: out) }
        let product = try median { self.kernels.matmul.multiply(a, b, bias: nil, adds: false, out: out) }
        return DeviceRates(
            bytesPerSecond: Double(4 * count) / copy, operationsPerSecond: 2 * 8192 * Double(count) / product)
    }

    /// Seconds that the work of `body` takes: the median of 15 runs after 3.
    private func median(_ body: () -> Void) throws(DeviceError) -> Double {
        var times: [Double] = []
        let start = try CUDAEvent(stream: stream, isTimed: true),
            end = try CUDAEvent(stream: stream, isTimed: true)
        for run in 0..<18 {
            start.record()
            body()
            end.record()
            try wait()
            if run >= 3 { times.append(end.milliseconds(since: start) / 1000) }
        }
        return times.sorted()[times.count / 2]
    }
}
