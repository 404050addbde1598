import ArgumentParser
import Benchmarks
import CPUBackend
import DeviceChecks
import Engine
import Images
import Models
import Prompts
import Scheduling
import Synchronization
import Tensors
import Tokenizers

/// `vireo check`: compares a device with the reference on the processor.
struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Checks a device: every operator, and whole models, against the reference on the processor.",
        discussion: """
            Operators are compared over random shapes; what is not written or must not be read is filled with NaN. A \
            model's greedy tokens must be the reference's: at the first that differs each side's token must be among the \
            other's five likeliest.
            """)

    @OptionGroup var device: DeviceOptions

    @OptionGroup var parallel: ParallelOptions

    @Option(name: .flag("model_dir"), parsing: .upToNextOption, help: "Checkpoints to compare as a whole.")
    var modelFolders: [String] = []

    @Flag(name: .flag("skip_operators"), help: "Compare checkpoints only.")
    var skipsOperators = false

    @Flag(name: .flag("verbose"), help: "Print every comparison, not only what is wrong.")
    var isVerbose = false

    func run() async throws {
        try parallel.checkOneNode(for: "check")
        let devices = try device.make(.bf16, count: parallel.ranks), checked = devices[0]
        print("\(checked.name) against the reference")
        var (count, failures) = (0, 0)
        if !skipsOperators {
            let pair = CheckedPair(
                reference: CPUDevice(threadCount: Processor.coreCount, exact: true), device: checked
            ) { finding in
                if isVerbose || !finding.isRight { print(finding) }
            }
            pair.checkOperators()
            count = pair.findings.count
            failures = pair.findings.count { !$0.isRight }
            print("operators: \(count - failures) of \(count) comparisons are right")
        }
        if devices.count > 1 {
            let wrong = try ExchangeChecks(
                devices, device.collectives(devices, inGroupsOf: devices.count).map(\.all)
            ).wrong()
            print(
                "exchanges of \(devices.count) ranks: \(wrong.isEmpty ? "right" : wrong.joined(separator: "; "))"
            )
            failures += wrong.count
        }
        for folder in modelFolders {
            let wrong = try await compare(folder, devices)
            print("\(folder): \(wrong.isEmpty ? "the same tokens" : wrong.joined(separator: "; "))")
            failures += wrong.count
        }
        guard failures == 0 else { throw ExitCode.failure }
    }

    /// What is wrong with the checkpoint in `folder` over `checked`.
    private func compare(_ folder: String, _ checked: [any Device]) async throws -> [String] {
        let processor = CPUDevice(threadCount: Processor.coreCount)
        var wrong: [String] = []
        let expected = try await answers(try load(folder, [processor]), together: false)
        let found: [[SampledToken]], among: [[SampledToken]]
        do {
            let loaded = try load(folder, checked)
            found = try await answers(loaded, together: false)
            among = try await answers(loaded, together: true)
        } catch {
            return ["\(error)"]
        }
        for index in expected.indices {
            if let place = Self.parting(expected[index], found[index]) {
                wrong.append("prompt \(index): token \(place) is not the reference's")
            }
            if let place = Self.parting(found[index], among[index]) {
                wrong.append("prompt \(index): token \(place) is another among other prompts")
            }
        }
        return wrong
    }

    /// The first place at which two answers differ though neither's token is among the other's likeliest.
    private static func parting(_ a: [SampledToken], _ b: [SampledToken]) -> Int? {
        guard let place = zip(a, b).enumerated().first(where: { $1.0.id != $1.1.id })?.offset else {
            return a.count == b.count ? nil : min(a.count, b.count)
        }
        let isClose =
            a[place].top.contains { $0.id == b[place].id } && b[place].top.contains { $0.id == a[place].id }
        return isClose ? nil : place
    }

    /// The checkpoint in `folder` over `devices`.
    private func load(_ folder: String, _ devices: [any Device]) throws -> LoadedModel {
        var options = try ModelOptions.parse(["--model_dir", folder])
        options.device = device
        if devices.count > 1 { options.parallel = parallel }
        if try ModelFamilies.describe(folder).vision?.cut.hasTileLimit == true { options.maxTiles = 2 }
        return try LoadedModel(options, on: devices)
    }

    /// 32 greedy tokens for each of a few prompts, some with a picture.
    private func answers(_ loaded: LoadedModel, together: Bool) async throws -> [[SampledToken]] {
        var limits = try EngineOptions.parse([])
        limits.totalTokens = 4096
        let engine = try loaded.makeEngine(limits, elementType: .bf16)
        var prompts: [(PreparedPrompt, [ImageSource])] = []
        var random = LoadRandom(seed: 5)
        let vocabulary = min(loaded.tokenizer.vocabularyCount, loaded.description.text.vocabularyCount)
        for length in [1, 5, 37, 300] {
            var ids: [Int32] = []
            while ids.count < length {
                let id = Int32(random.below(vocabulary))
                if !loaded.tokenizer.isSpecial(id) { ids.append(id) }
            }
            prompts.append((PreparedPrompt(tokenIDs: ids), []))
        }
        if loaded.prompts.takesImages {
            for seed in 0..<2 {
                let file = NoisePicture.png(width: 90, height: 60, seed: UInt64(seed))
                let planned = try loaded.prompts.plan(file, maxTiles: nil, limits: ImageLimits())
                let prompt = try loaded.prompts.prompt(
                    text: "<image>", images: [planned], addSpecialTokens: true)
                prompts.append((prompt, [ImageSource(picture: planned.picture)]))
            }
        }
        let results = try await LoadedModel.running(engine) {
            try await Self.answers(prompts, engine, together: together)
        }
        await engine.shutDown(drainSeconds: 0)
        if loaded.ranks.count > 1 { Self.kept.withLock { $0.append((loaded, engine)) } }
        return results
    }

    /// Engines over ranks, until the end: one that is given back would wait until the ranks of the next one are idle.
    private static let kept = Mutex<[(LoadedModel, Engine)]>([])

    private static func answers(
        _ prompts: [(PreparedPrompt, [ImageSource])], _ engine: Engine, together: Bool,
    ) async throws -> [[SampledToken]] {
        let sampling = try SamplingParameters(maxNewTokens: 32, ignoresEnd: true, topLogprobCount: 5)
        var results: [[SampledToken]] = []
        if together {
            let streams = try prompts.map { try engine.submit($0.0, images: $0.1, sampling: sampling) }
            for stream in streams { results.append(try await Self.tokens(stream)) }
        } else {
            for (prompt, images) in prompts {
                results.append(
                    try await Self.tokens(try engine.submit(prompt, images: images, sampling: sampling)))
            }
        }
        return results
    }

    private static func tokens(_ stream: TokenStream) async throws -> [SampledToken] {
        var tokens: [SampledToken] = []
        for try await event in stream {
            if case .token(let token) = event { tokens.append(token) }
        }
        return tokens
    }
}
