package import Checkpoints
import JSON
package import Tensors

/// Contract of a family of models: what its configuration means, and how its weights become a model.
///
/// A family is one file in `Families` and one line in `ModelFamilies.all`. It reads the configuration into a
/// `ModelDescription`, which alone then decides what is loaded.
package protocol ModelFamily: Sendable {
    /// The names in `architectures` it answers to.
    var architectures: [String] { get }
    /// The `model_type`s of config.json it answers to.
    var modelTypes: [String] { get }
    /// Reads and checks the configuration files.
    func describe(_ files: ModelFiles) throws(CheckpointError) -> ModelDescription
    /// Takes the weights of the described model.
    func load(_ description: ModelDescription, _ loader: Loader) throws(ModelError) -> any VisionLanguageModel
    /// Whether a checkpoint may have `tensor` though the model has no use for it.
    func mayRemain(_ tensor: String, _ description: ModelDescription) -> Bool
}

/// The families there are.
package enum ModelFamilies {
    /// One line a family, text towers by themselves last.
    package static let all: [any ModelFamily] =
        [
            InternVLChat(),
            InternVLTransformers(),
            QwenVLFamily.two,
            QwenVLFamily.twoAndAHalf,
            QwenVLFamily.three,
            QwenVLFamily.threeOfExperts,
            LlavaFamily.plain,
            LlavaFamily.next,
            LlavaFamily.oneVision,
            Idefics3Family.three,
            Idefics3Family.smol,
            QwenFamily(),
            QwenVLFamily.tarsier,
            Gemma3Family(),
        ] + TextOnly.all

    /// Reads and checks the configuration of the checkpoint in `folder`; weights are not touched.
    package static func describe(_ folder: String) throws(ModelError) -> ModelDescription {
        try describe(try ModelError.wrapping { () throws(CheckpointError) in try ModelFiles(folder: folder) })
    }

    /// Checks configuration files already read.
    package static func describe(_ files: ModelFiles) throws(ModelError) -> ModelDescription {
        let config = files.config
        let architectures = config.value("architectures")?.array?.compactMap(\.string) ?? []
        let type = config.value("model_type")?.string
        // A checkpoint may leave out one of the two, but what it names must be known.
        let family = all.first { family in
            (architectures.isEmpty || architectures.contains(where: family.architectures.contains))
                && (type.map(family.modelTypes.contains) ?? !architectures.isEmpty)
        }
        guard let family else {
            throw .unknownArchitecture(
                found: (architectures + [type].compactMap(\.self)).joined(separator: ", "),
                supported: all.flatMap(\.architectures))
        }
        return try ModelError.wrapping { () throws(CheckpointError) in try family.describe(files) }
    }

    /// Loads the weights in `folder` as the model `description` says.
    ///
    /// Weights of products become `elementType` (bf16 or f32), or in the text tower `textFormat` if it is not nil.
    /// `loaderThreads` layers load at a time; `progress` hears of every tensor, from any thread.
    package static func load(
        folder: String, description: ModelDescription, device: any Device, elementType: ElementType,
        textFormat: WeightFormat? = nil, loaderThreads: Int = 1,
        towers: TowerCollectives = TowerCollectives(),
        progress: @escaping @Sendable (LoadProgress) -> Void = { _ in },
    ) throws(ModelError) -> any VisionLanguageModel {
        let checkpoint = try ModelError.wrapping { () throws(CheckpointError) in
            try Checkpoint(folder: folder)
        }
        return try load(
            checkpoint, description: description, device: device, elementType: elementType,
            textFormat: textFormat, loaderThreads: loaderThreads, towers: towers, progress: progress)
    }

    /// Loads the weights of any source, random ones among them.
    package static func load(
        _ source: any TensorSource, description: ModelDescription, device: any Device,
        elementType: ElementType, textFormat: WeightFormat? = nil,
        loaderThreads: Int = 1, towers: TowerCollectives = TowerCollectives(),
        progress: @escaping @Sendable (LoadProgress) -> Void = { _ in },
    ) throws(ModelError) -> any VisionLanguageModel {
        let family = try family(of: description)
        let weights = Weights(source, progress: progress)
        let loader = Loader(
            weights: weights, device: device, elementType: elementType, textFormat: textFormat,
            threads: loaderThreads, towers: towers)
        let model = try family.load(description, loader)
        try ModelError.wrapping { () throws(CheckpointError) in
            try weights.finish { family.mayRemain($0, description) }
        }
        return model
    }

    /// The family that made `description`.
    private static func family(of description: ModelDescription) throws(ModelError) -> any ModelFamily {
        guard let family = all.first(where: { $0.modelTypes.contains(description.modelType) }) else {
            throw .unknownArchitecture(found: description.modelType, supported: all.flatMap(\.modelTypes))
        }
        return family
    }
}
