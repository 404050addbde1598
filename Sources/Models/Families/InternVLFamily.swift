/// A layout of InternVL checkpoints: its names, and how it writes the configuration.
protocol InternVLFamily: ModelFamily {
    /// What the layout calls its tensors.
    static var names: InternVL.Names { get }
}

extension InternVLFamily {
    package func load(
        _ description: ModelDescription, _ loader: Loader,
    ) throws(ModelError) -> any VisionLanguageModel {
        guard let vision = description.vision else { preconditionFailure("InternVL has a vision tower") }
        return try InternVL(description, vision, Self.names, loader)
    }

    package func mayRemain(_ tensor: String, _ description: ModelDescription) -> Bool {
        InternVL.mayRemain(tensor, Self.names, description)
    }
}
