import ArgumentParser
import CPUBackend
import Checkpoints
import Models
import Tensors

/// `vireo inspect`: says what a checkpoint is, or makes one with random weights.
struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Says what is in a checkpoint and what it needs; can make one with random weights.")

    @Argument(help: "The checkpoint folder.")
    var folder: String?

    @Option(name: .flag("model_dir"), help: "The checkpoint folder, as the other commands name it.")
    var modelFolder: String?

    @Option(
        name: .flag("make-random"),
        help:
            "A folder with config.json and the tokenizer: make a checkpoint of its shape with random weights."
    )
    var randomShape: String?

    @Option(
        name: .flag("output"),
        help: "Where --make-random writes the checkpoint: a folder that is not there yet.")
    var output: String?

    @Option(name: .flag("seed"), help: "Decides the random weights.")
    var seed: UInt64 = 0

    func validate() throws {
        guard [folder, modelFolder, randomShape].count(where: { $0 != nil }) == 1 else {
            throw ValidationError("name one checkpoint folder")
        }
        guard (randomShape == nil) == (output == nil) else {
            throw ValidationError("--make-random and --output go together")
        }
    }

    func run() throws {
        if let randomShape, let output {
            try makeRandom(randomShape, output)
            return
        }
        guard let folder = folder ?? modelFolder else { return }
        let description = try ModelFamilies.describe(folder)
        for line in Summary.lines(description) { print(line) }
        let checkpoint = try Checkpoint(folder: folder)
        print(
            "weights             \(checkpoint.tensorNames.count) tensors, \(Text.bytes(checkpoint.byteCount))"
        )
    }

    private func makeRandom(_ shape: String, _ output: String) throws {
        try ModelFamilies.makeRandom(
            from: shape, to: output, seed: seed, device: CPUDevice(threadCount: Processor.coreCount))
        let byteCount = try Checkpoint(folder: output).byteCount
        print("\(output): \(Text.bytes(byteCount)) of random weights in the shape of \(shape)")
    }
}
