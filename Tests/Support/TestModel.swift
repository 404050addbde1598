package import CPUBackend
import Checkpoints
package import Engine
import Foundation
import Images
import JSON
import Jinja
package import Models
package import Prompts
package import Scheduling
package import Tensors
import Tokenizers

/// A checkpoint of the fixtures with its prompt rules, ready for an engine.
package struct TestModel: Sendable {
    package var model: any VisionLanguageModel
    package let device: CPUDevice
    package let prompts: PromptBuilder
    package let elementType: ElementType

    /// Loads the folder `name` of the fixtures on two threads; with `altered` in place of its description, random weights.
    package init(
        _ name: String, elementType: ElementType = .f32, altered: ModelDescription? = nil,
    ) throws {
        let folder = Fixtures.folder(name)
        let description = try altered ?? ModelFamilies.describe(folder)
        device = CPUDevice(threadCount: 2, exact: elementType == .f32)
        model =
            altered == nil
            ? try ModelFamilies.load(
                folder: folder, description: description, device: device, elementType: elementType)
            : try ModelFamilies.load(
                ModelFamilies.randomWeights(for: description, seed: 1), description: description,
                device: device, elementType: elementType)
        self.elementType = elementType
        let rules = description.vision.map { vision in
            ImageRules(
                cut: vision.cut, start: vision.markers.start, context: vision.markers.context,
                end: vision.markers.end, areNumbered: vision.markers.areNumbered,
                surroundings: vision.markers.surroundings, modelIdentity: name)
        }
        let tokenizer = try TokenizerFolder.load { file in
            try? [UInt8](Data(contentsOf: Fixtures.url("models/\(name)/\(file)")))
        }
        guard let tokenizer else { throw CheckpointError.missingFile(file: "tokenizer.json", folder: folder) }
        let config = try ConfigSection.parse(
            Fixtures.bytes("models/\(name)/tokenizer_config.json"), file: "tokenizer_config.json")
        let begin = config.value("bos_token")?.string
        let own = Self.template(name), builtIn = description.templateName.flatMap(BuiltInTemplates.source)
        let template = try ChatTemplate(
            source: own.isEmpty ? builtIn ?? "" : own,
            specials: begin.map { [("bos_token", .string($0))] } ?? [],
            rules: rules)
        prompts = try PromptBuilder(
            tokenizer: tokenizer, template: template, rules: rules,
            vocabularyCount: description.text.vocabularyCount)
    }

    /// An engine for it; `change` adjusts its configuration.
    package func makeEngine(_ change: (inout EngineConfiguration) -> Void = { _ in }) throws -> Engine {
        var configuration = EngineConfiguration(elementType: elementType)
        configuration.cachedTokens = 16_384
        configuration.imageCacheBytes = 64 << 20
        change(&configuration)
        return try Engine(
            model: model, device: device, configuration: configuration,
            vocabularyCount: prompts.tokenizer.vocabularyCount)
    }

    /// The planned pictures of a golden case.
    package func images(of golden: GoldenCase) throws -> [PlannedImage] {
        try golden.images.map { image in
            try prompts.plan(
                Fixtures.bytes("images/\(image.file)"), maxTiles: golden.tiling.maxTiles,
                limits: ImageLimits())
        }
    }

    /// The prompt of a golden case, from its conversation.
    package func prompt(of golden: GoldenCase) throws -> PreparedPrompt {
        try prompts.prompt(
            conversation: Conversation(messages: golden.messages.map(\.prompted)), images: images(of: golden))
    }

    private static func template(_ name: String) -> String {
        let file = Fixtures.url("models/\(name)/chat_template.jinja")
        if let text = try? String(contentsOf: file, encoding: .utf8) { return text }
        let json = FileManager.default.fileExists(
            atPath: Fixtures.url("models/\(name)/chat_template.json").path)
        let place = json ? "chat_template.json" : "tokenizer_config.json"
        let config = try? ConfigSection.parse(Fixtures.bytes("models/\(name)/\(place)"), file: place)
        return config?.value("chat_template")?.string ?? ""
    }
}
