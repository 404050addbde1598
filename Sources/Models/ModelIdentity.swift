import Checkpoints
import Images

/// Names a model by what it is, so that replicas that have it in different places agree, and others do not.
package enum ModelIdentity {
    /// The files that decide what a picture becomes; those that a folder lacks count as empty.
    private static let configurationFiles = [
        "config.json", "preprocessor_config.json", "processor_config.json",
    ]

    /// Hexadecimal digits that depend on the configuration in `folder`, on names, types, shapes and samples of its weights
    /// (unless they are random ones, which follow from the configuration), and on `computation`: what else decides about
    /// the bits of embeddings.
    ///
    /// Cheap: a few pages of each tensor are read.
    package static func digest(
        folder: String, hasRandomWeights: Bool, computation: String,
    ) throws(ModelError) -> String {
        try ModelError.wrapping { () throws(CheckpointError) in
            var parts: [[UInt8]] = []
            for file in configurationFiles {
                parts.append(try Files.read("\(folder)/\(file)", atMost: 16 << 20) ?? [])
            }
            parts.append(
                hasRandomWeights ? Array("random".utf8) : try Checkpoint(folder: folder).sample)
            parts.append(Array(computation.utf8))
            return SHA256.hexadecimal(SHA256.digest(of: parts.flatMap { SHA256.digest(of: $0) }))
        }
    }
}
