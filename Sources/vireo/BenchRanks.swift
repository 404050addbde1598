import ArgumentParser
import Benchmarks
import DeviceChecks
import Tensors

/// `vireo bench ranks`: how long ranks take to add up what they have.
struct BenchRanks: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ranks", abstract: "Measures sums over ranks by their size.")

    @OptionGroup var device: DeviceOptions

    @Option(name: .flag("tp"), help: "Ranks.")
    var ranks = 2

    func validate() throws { try Bounds.check("--tp", ranks, 1...64) }

    func run() async throws {
        let devices = try device.make(.bf16, count: ranks)
        let places = try device.collectives(devices, inGroupsOf: ranks)
        let checks = ExchangeChecks(devices, places.map(\.all))
        print("sums over \(ranks) ranks, \(devices[0].name):")
        for exponent in stride(from: 12, through: 28, by: 2) {
            let bytes = 1 << exponent
            let time = try checks.microseconds(bytes, repetitions: exponent > 22 ? 10 : 100)
            print(
                "  \(bytes >> 10) KiB: \(Decimals.two(time)) µs, \(Decimals.two(Double(bytes) / time / 1000)) GB/s of each rank's"
            )
        }
    }
}
