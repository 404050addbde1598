import ArgumentParser
import Checkpoints
import Engine
import Images
import Prompts
import Scheduling
import Tensors
import Tokenizers

/// `vireo generate`: answers one prompt on the terminal, without a server.
struct Generate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Answers one prompt about pictures, without a server.")

    @OptionGroup var model: ModelOptions
    @OptionGroup var engine: EngineOptions

    @Option(name: .flag("prompt"), help: "The question.")
    var prompt: String

    @Option(name: .flag("image"), help: "A picture file; may be given more than once.")
    var images: [String] = []

    @Option(name: .flag("system"), help: "A system message.")
    var system: String?

    @Flag(
        name: .flag("raw"),
        help: "Take the prompt as it is, without the chat template; <image> marks a picture.")
    var isRaw = false

    @Option(name: .flag("max_new_tokens"), help: "The longest answer, in tokens.")
    var maxNewTokens = 256

    @Option(name: .flag("temperature"), help: "0 for greedy.")
    var temperature = 0.0

    @Option(name: .flag("top_p"), help: "Keep the likeliest tokens until their probabilities sum to it.")
    var topP = 1.0

    @Option(name: .flag("top_k"), help: "Keep the k likeliest tokens; -1 keeps all.")
    var topK = -1

    @Option(name: .flag("seed"), help: "Decides the draws.")
    var seed: UInt64?

    func run() async throws {
        try model.parallel.checkOneNode(for: "generate")
        let loaded = try LoadedModel(model)
        let engine = try loaded.makeEngine(engine, elementType: model.elementType)
        let planned = try images.map { try plan($0, loaded.prompts) }
        let stream = try submit(planned, loaded.prompts, to: engine)
        var decoder = IncrementalDecoder(loaded.tokenizer, skipSpecialTokens: true)
        try await LoadedModel.running(engine) {
            for try await event in stream {
                guard case .token(let token) = event else { continue }
                print(String(decoding: decoder.append(token.id), as: UTF8.self), terminator: "")
            }
        }
        print(String(decoding: decoder.finish(), as: UTF8.self))
        await engine.shutDown(drainSeconds: 0)
    }

    private func plan(_ path: String, _ prompts: PromptBuilder) throws -> PlannedImage {
        guard prompts.takesImages else { throw StartError(PromptError.imagesNotSupported.message) }
        guard let bytes = try Files.read(path, atMost: ImageLimits().maxByteCount + 1) else {
            throw StartError("--image: there is no file \(path)")
        }
        do throws(ImageError) {
            return try prompts.plan(bytes, maxTiles: nil, limits: ImageLimits())
        } catch {
            throw StartError("--image \(path): \(error.message)")
        }
    }

    private func submit(_ images: [PlannedImage], _ prompts: PromptBuilder, to engine: Engine) throws
        -> TokenStream
    {
        let sampling = try SamplingParameters(
            temperature: temperature, topK: topK, topP: topP, seed: seed, maxNewTokens: maxNewTokens)
        let prepared: PreparedPrompt
        do throws(PromptError) {
            prepared =
                isRaw
                ? try prompts.prompt(text: prompt, images: images, addSpecialTokens: true)
                : try prompts.prompt(conversation: conversation(images.count), images: images)
        } catch {
            throw StartError(error.message)
        }
        return try engine.submit(
            prepared, images: images.map { ImageSource(picture: $0.picture) }, sampling: sampling)
    }

    private func conversation(_ imageCount: Int) -> Conversation {
        var messages = system.map { [Message(role: "system", parts: [.text($0)])] } ?? []
        messages.append(
            Message(role: "user", parts: Array(repeating: .image, count: imageCount) + [.text(prompt)]))
        return Conversation(messages: messages)
    }
}
