import ArgumentParser
import Benchmarks
import CUDABackend
import Engine
import Images
import Models
import Prompts
import Scheduling
import Tensors
import Tokenizers

/// `vireo bench step`: prefill, decode and pictures in this process, at several batch sizes.
struct BenchStep: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "step", abstract: "Measures prefill, decode and pictures, without HTTP.")

    @OptionGroup var model: ModelOptions
    @OptionGroup var engine: EngineOptions

    @Option(name: .flag("input_len"), help: "Tokens of a prompt.")
    var inputLength = 512

    @Option(name: .flag("output_len"), help: "Tokens of an answer.")
    var outputLength = 128

    @Option(
        name: .flag("batch"), parsing: .upToNextOption, help: "How many requests run at once: one run each.")
    var batchSizes = [1, 4]

    @Option(name: .flag("image_size"), help: "Also measure pictures of this size, WIDTHxHEIGHT.")
    var imageSize: PictureSize?

    @OptionGroup var picture: PictureFile

    @Flag(
        name: .flag("profile"),
        help: "Also time every kernel of a GPU, in a prefill and in a decode step each.")
    var profiles = false

    func validate() throws {
        try Bounds.check("--input_len", inputLength, 1...1_000_000)
        try Bounds.check("--output_len", outputLength, 2...1_000_000)
        for size in batchSizes { try Bounds.check("--batch", size, 1...4096) }
    }

    func run() async throws {
        try model.parallel.checkOneNode(for: "bench")
        let loaded = try LoadedModel(model)
        let engine = try loaded.makeEngine(engine, elementType: model.elementType)
        print(Summary.line(loaded, Replicas([engine]), model))
        try await LoadedModel.running(engine) {
            _ = try await measure(engine, loaded, batch: 1, output: 8)
            for batch in batchSizes {
                let gpu = loaded.device as? CUDADevice
                gpu?.beginProfile(.steps)
                let answers = try await measure(engine, loaded, batch: batch, output: outputLength)
                report(answers, batch: batch)
                if let step = try gpu?.endProfile().first {
                    let time = step.milliseconds / Double(step.calls)
                    print("  \(step.calls) recorded steps of \(Decimals.two(time)) ms on the device")
                }
            }
            if let imageSize { try await measurePictures(engine, loaded, imageSize) }
            if profiles { try await profile(engine, loaded) }
        }
        await engine.shutDown(drainSeconds: 0)
    }

    private func report(_ answers: [RequestTimes], batch: Int) {
        let start = answers.map(\.sent).min() ?? 0
        let firsts = answers.compactMap(\.pieces.first)
        let prefill = (firsts.max() ?? start) - start
        let decode = (answers.compactMap(\.completed).max() ?? start) - (firsts.max() ?? start)
        let steps = Double(
            answers.reduce(0) { sum, answer in
                // Tokens that came while every request was past its prompt.
                sum + answer.pieces.count { $0 > (firsts.max() ?? start) }
            })
        print(
            "batch \(batch): prefill \(Decimals.two(Double(batch * inputLength) / prefill)) tokens/s "
                + "(\(batch) × \(inputLength) in \(Text.seconds(prefill))), "
                + "decode \(Decimals.two(steps / max(decode, 1e-9))) tokens/s")
    }

    func measurePictures(
        _ engine: Engine, _ loaded: LoadedModel, _ size: PictureSize, count: Int = 5, seed first: UInt64 = 0,
    ) async throws {
        guard loaded.prompts.takesImages else { throw StartError(PromptError.imagesNotSupported.message) }
        var times: [Double] = []
        var tokens = 0
        for seed in 0..<count {
            let number = first + UInt64(seed)
            let file = PictureFile.picture(number, of: try picture.contents(), size: size)
            let planned = try loaded.prompts.plan(file, maxTiles: nil, limits: ImageLimits())
            tokens = planned.tokenCount
            let prompt = try loaded.prompts.prompt(text: "<image>", images: [planned], addSpecialTokens: true)
            let stream = try engine.submit(
                prompt, images: [ImageSource(picture: planned.picture)],
                sampling: SamplingParameters(maxNewTokens: 1))
            let answer = try await Self.times(of: stream, sent: Self.now)
            // The first one warms up.
            if seed > 0, let first = answer.timeToFirstToken { times.append(first) }
        }
        let median = Distribution(times).median
        print(
            "picture \(size): \(tokens) image tokens, first token after \(Decimals.two(median * 1000)) ms (median of \(count - 1))"
        )
    }

    /// Runs `batch` prompts at once; `afterPrompt` is called when the first token of any has come.
    func measure(
        _ engine: Engine, _ loaded: LoadedModel, batch: Int, output: Int,
        afterPrompt: (@Sendable () -> Void)? = nil,
    ) async throws -> [RequestTimes] {
        let sampling = try SamplingParameters(maxNewTokens: output, ignoresEnd: true)
        let prompts = (0..<batch).map { randomPrompt(loaded, seed: UInt64($0)) }
        let sent = Self.now
        let streams = try prompts.map { try engine.submit($0, images: [], sampling: sampling) }
        return try await withThrowingTaskGroup(of: RequestTimes.self) { group in
            for stream in streams {
                group.addTask { try await Self.times(of: stream, sent: sent, afterPrompt: afterPrompt) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
    }

    /// Ordinary tokens, the same for the same seed.
    private func randomPrompt(_ loaded: LoadedModel, seed: UInt64) -> PreparedPrompt {
        let count = min(loaded.tokenizer.vocabularyCount, loaded.description.text.vocabularyCount)
        var random = LoadRandom(seed: seed)
        var ids: [Int32] = []
        while ids.count < inputLength {
            let id = Int32(random.below(count))
            if !loaded.tokenizer.isSpecial(id) { ids.append(id) }
        }
        var prompt = PreparedPrompt(tokenIDs: ids)
        prompt.usesPrefixCache = false
        return prompt
    }

    private static func times(
        of stream: TokenStream, sent: Double, afterPrompt: (@Sendable () -> Void)? = nil,
    ) async throws -> RequestTimes {
        var times = RequestTimes(sent: sent)
        for try await event in stream {
            guard case .token = event else { continue }
            if times.pieces.isEmpty { afterPrompt?() }
            times.pieces.append(now)
        }
        times.outputTokens = times.pieces.count
        times.completed = now
        return times
    }

    /// Seconds on a clock that only goes forward.
    static var now: Double { (ContinuousClock.now - start) / .seconds(1) }
    private static let start = ContinuousClock.now
}

/// Width and height in pixels, written 640x480.
struct PictureSize: ExpressibleByArgument, CustomStringConvertible, Sendable {
    let width: Int
    let height: Int

    /// 448 × 448 pixels.
    static let tile = PictureSize(width: 448, height: 448)

    private init(width: Int, height: Int) {
        self.width = width
        self.height = height
    }

    /// Nil for anything but two numbers from 1 to 16,384 with an x between them.
    init?(argument: String) {
        let sides = argument.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
        guard sides.count == 2, sides.allSatisfy({ (1...16_384).contains($0) }) else { return nil }
        width = sides[0]
        height = sides[1]
    }

    var description: String { "\(width)x\(height)" }
}
