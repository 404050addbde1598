import Benchmarks
import CUDABackend
import Engine
import Images
import Prompts
import Scheduling
import Tensors

extension BenchStep {
    /// Prints what the kernels of a prefill, of decode steps and of a picture took, beside their floors.
    func profile(_ engine: Engine, _ loaded: LoadedModel) async throws {
        guard let device = loaded.device as? CUDADevice else {
            throw StartError("--profile times the kernels of a GPU; this is \(loaded.device.name)")
        }
        let rates = try device.measureRates()
        print(
            "measured: copies \(Decimals.two(rates.bytesPerSecond / 1e12)) TB/s, products "
                + "\(Decimals.two(rates.operationsPerSecond / 1e12)) TFLOP/s")
        for batch in batchSizes {
            device.beginProfile(.kernels)
            _ = try await measure(engine, loaded, batch: batch, output: 1)
            Self.show("prefill of \(batch) × \(inputLength)", try device.endProfile(), rates)
            let steps = 8
            device.beginProfile(.kernels)
            _ = try await measure(
                engine, loaded, batch: batch, output: 1 + steps,
                afterPrompt: { device.beginProfile(.kernels) })
            Self.show("\(steps) decode steps of \(batch)", try device.endProfile(), rates)
        }
        guard let imageSize else { return }
        device.beginProfile(.kernels)
        try await measurePictures(engine, loaded, imageSize, count: 2, seed: 100)
        Self.show("2 pictures of \(imageSize)", try device.endProfile(), rates)
    }

    private static func show(_ what: String, _ times: [KernelTime], _ rates: DeviceRates) {
        let total = times.reduce(0) { $0 + $1.milliseconds }
        print("\(what): \(Decimals.two(total)) ms in kernels")
        for time in times.prefix(14) {
            let floor = max(
                Double(time.bytes) / rates.bytesPerSecond, Double(time.operations) / rates.operationsPerSecond
            )
            let share = time.milliseconds > 0 ? floor * 1e5 / time.milliseconds : 0
            print(
                "  \(time.name): \(time.calls) calls, \(Decimals.two(time.milliseconds)) ms, "
                    + "\(Decimals.two(time.milliseconds * 1000 / Double(time.calls))) µs each, floor "
                    + "\(Decimals.two(floor * 1000)) ms, \(Decimals.two(share)) %")
        }
    }
}
