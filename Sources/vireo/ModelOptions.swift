import ArgumentParser
import Tensors

/// What is loaded, and in which form: shared by all sub-commands that run a model.
struct ModelOptions: ParsableArguments {
    @Option(name: .flag("model_dir"), help: "The checkpoint: a Hugging Face folder with safetensors.")
    var modelFolder: String

    @Option(
        name: .flag("data_type"),
        help:
            "bfloat16 (bf16), or float32 (fp32): the type weights and cache are kept in. float16 is kept as bfloat16."
    )
    var dataType = "bfloat16"

    @Option(
        name: .flag("quant_type"),
        help:
            "none, int8 (also called w8a8) or int4: round the text tower's weights to so many bits while they load, on --device cpu. Embeddings and the vision tower stay as they are; with int4 the head gets 8 bits. int4 costs small models much of their accuracy."
    )
    var quantType = "none"

    @Option(name: .flag("load_format"), help: "auto, or dummy for random weights in the checkpoint's shape.")
    var loadFormat = "auto"

    @Option(
        name: .flag("chat_template"), help: "A Jinja file to use instead of the checkpoint's chat template.")
    var chatTemplate: String?

    @Option(
        name: .flag("tokenizer_mode"),
        help: "Accepted for compatibility; fast and auto are the same, slow is refused.")
    var tokenizerMode = "fast"

    @Option(name: .flag("eos_id"), help: "Token ids that end an answer, instead of the checkpoint's.")
    var endIDs: [Int] = []

    @Option(name: .flag("max_tiles"), help: "The most tiles a picture is cut into, without its thumbnail.")
    var maxTiles: Int?

    @Option(
        name: .flag("max_image_token_count"),
        help: "About the most tokens of a picture that keeps its own size: larger ones are made smaller.")
    var maxImageTokens: Int?

    @OptionGroup var parallel: ParallelOptions

    @OptionGroup var device: DeviceOptions

    @Flag(
        name: .flag("trust_remote_code"),
        help: "Accepted for compatibility; code from a checkpoint is never run.")
    var trustsRemoteCode = false

    /// The type of weights and cache.
    var elementType: ElementType {
        dataType == "float32" || dataType == "fp32" ? .f32 : .bf16
    }

    /// What the weights of the text tower's products are kept in.
    var textFormat: WeightFormat {
        switch quantType {
        case "int8", "w8a8": .int8
        case "int4": .int4
        default: .plain(elementType)
        }
    }

    func validate() throws {
        guard ["none", "int8", "w8a8", "int4"].contains(quantType) else {
            throw ValidationError(
                "--quant_type \(quantType) is not supported; it may be none, int8 (also called w8a8) or int4")
        }
        guard ["bfloat16", "bf16", "float16", "fp16", "float32", "fp32"].contains(dataType) else {
            throw ValidationError("--data_type must be bfloat16, float16 or float32")
        }
        guard ["auto", "dummy"].contains(loadFormat) else {
            throw ValidationError("--load_format must be auto or dummy")
        }
        guard ["fast", "auto"].contains(tokenizerMode) else {
            throw ValidationError(
                "--tokenizer_mode slow is not supported: there is one tokenizer, and it is fast")
        }
        try Bounds.check("--max_tiles", maxTiles, 1...256)
        try Bounds.check("--max_image_token_count", maxImageTokens, 1...1_000_000)
        guard endIDs.allSatisfy({ $0 >= 0 && $0 <= Int(Int32.max) }) else {
            throw ValidationError("--eos_id must be a token id")
        }
    }
}

/// Checks of flags.
enum Bounds {
    /// Refuses a value outside `range`.
    static func check(_ flag: String, _ value: Int?, _ range: ClosedRange<Int>) throws {
        guard let value, !range.contains(value) else { return }
        throw ValidationError("\(flag) must be from \(range.lowerBound) to \(range.upperBound), not \(value)")
    }
}
