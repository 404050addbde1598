import ArgumentParser

/// `vireo bench`: measures an engine without HTTP, or a server from outside.
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures speed: of an engine in this process, or of a server over HTTP.",
        subcommands: [BenchStep.self, BenchServe.self, BenchImages.self, BenchRanks.self])
}
