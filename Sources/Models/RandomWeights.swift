package import Checkpoints
package import Tensors

extension ModelFamilies {
    /// Random weights for the model of `description`, with the deviations its configuration gives the two towers.
    package static func randomWeights(
        for description: ModelDescription, seed: UInt64, elementType: ElementType = .bf16,
    ) -> RandomSource {
        let text = description.text.initializerRange
        let vision = description.vision?.initializerRange ?? text
        return RandomSource(seed: seed, elementType: elementType) { name in
            name.hasPrefix("vision_") || name.contains("visual.") || name.contains("vision_model.")
                ? vision : text
        }
    }

    /// Makes the folder `target`: random weights for the configuration in `folder`, and copies of its other files.
    ///
    /// One tensor is in memory at a time. `device` lends its operators only.
    package static func makeRandom(
        from folder: String, to target: String, seed: UInt64, elementType: ElementType = .bf16,
        device: any Device,
    ) throws(ModelError) {
        let description = try describe(folder)
        let entries = try tensorList(of: description, device: device, elementType: elementType)
        let source = randomWeights(for: description, seed: seed, elementType: elementType)
        try ModelError.wrapping { () throws(CheckpointError) in
            try Checkpoint.copyOtherFiles(from: folder, to: target)
            var writer = try SafetensorsWriter(path: "\(target)/model.safetensors", entries: entries)
            for entry in entries { try writer.append(source.tensor(entry.tensor, shape: entry.shape)) }
            try writer.finish()
        }
    }
}
