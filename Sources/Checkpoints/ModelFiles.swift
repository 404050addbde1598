/// The configuration files of a checkpoint folder.
package struct ModelFiles: Sendable {
    /// `config.json`.
    package let config: ConfigSection
    /// `generation_config.json`, if there is one.
    package let generation: ConfigSection?
    /// `preprocessor_config.json`, or what newer folders have instead: a part of `processor_config.json`.
    package let preprocessor: ConfigSection?
    /// `processor_config.json`, if there is one.
    package let processor: ConfigSection?

    /// Takes parsed files.
    package init(
        config: ConfigSection, generation: ConfigSection? = nil, preprocessor: ConfigSection? = nil,
        processor: ConfigSection? = nil,
    ) {
        self.config = config
        self.generation = generation
        self.preprocessor = preprocessor
        self.processor = processor
    }

    /// Reads them from `folder`; only `config.json` must be there.
    package init(folder: String) throws(CheckpointError) {
        guard let config = try Self.read("config.json", in: folder) else {
            throw .missingFile(file: "config.json", folder: folder)
        }
        self.config = config
        generation = try Self.read("generation_config.json", in: folder)
        processor = try Self.read("processor_config.json", in: folder)
        if let preprocessor = try Self.read("preprocessor_config.json", in: folder) {
            self.preprocessor = preprocessor
        } else {
            preprocessor = try processor?.section("image_processor")
        }
    }

    private static func read(_ name: String, in folder: String) throws(CheckpointError) -> ConfigSection? {
        guard let bytes = try Files.read("\(folder)/\(name)", atMost: 16 << 20) else { return nil }
        return try ConfigSection.parse(bytes, file: name)
    }
}
