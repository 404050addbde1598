import ArgumentParser

/// The program: `vireo serve`, `vireo generate`, `vireo bench`, `vireo check`, `vireo inspect`.
@main
struct Vireo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vireo",
        abstract: "Serves vision-language models over HTTP.",
        discussion: """
            Every flag may be written with underscores or hyphens: --model_dir and --model-dir are the same.
            """,
        version: Build.version,
        subcommands: [Serve.self, Generate.self, Bench.self, Check.self, Inspect.self])
}

/// What this program calls itself.
enum Build {
    /// Counts releases.
    static let version = "0.1.0"
}

extension NameSpecification {
    /// A flag in LightLLM's spelling, with hyphens as an alias.
    static func flag(_ name: String) -> NameSpecification {
        let hyphens = String(name.map { $0 == "_" ? "-" : $0 })
        return hyphens == name ? [.customLong(name)] : [.customLong(name), .customLong(hyphens)]
    }
}
