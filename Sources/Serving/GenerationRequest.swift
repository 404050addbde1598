import Prompts
import Scheduling

/// What either API asks for, checked as far as it can be without the model.
struct GenerationRequest: Sendable {
    /// What is to be continued.
    enum Prompt: Sendable {
        case text(String, addSpecialTokens: Bool)
        case tokenIDs([Int])
        case conversation(Conversation)
    }

    /// The prompt.
    var prompt: Prompt
    /// The pictures in the order of the prompt.
    var images: [ImageReference] = []
    /// A cap on each picture's tiles.
    var maxTiles: Int?
    /// Whether keys and values of earlier requests may be used, and kept for later ones.
    var usesPrefixCache = true
    /// How tokens are chosen.
    var sampling = SamplingChoice()
    /// How many answers are wanted.
    var answerCount = 1
    /// Texts that end the answer, as UTF-8.
    var stops: [[UInt8]] = []
    /// Whether the answer ends with the stop string that ended it.
    var stopTreatment = StopMatcher.Treatment.trim
    /// Whether special tokens leave no text.
    var skipsSpecialTokens = true
    /// The names of fields, for errors.
    var params: ParameterNames
}

/// The sampling part of a request, before the engine's limits are known to it.
struct SamplingChoice: Sendable, Hashable {
    var temperature = 0.0
    var topP = 1.0
    var topK = -1
    var minP = 0.0
    var seed: UInt64?
    /// As many as fit, if nil.
    var maxNewTokens: Int?
    var minNewTokens = 0
    var ignoresEnd = false
    var penalties = SamplingPenalties()
    var rules = TokenRules()
    var topLogprobCount = 0
    /// Nil for no report on the prompt.
    var promptLogprobCount: Int?
}

/// How an API calls what errors have to name.
struct ParameterNames: Sendable, Hashable {
    /// The prompt.
    let prompt: String
    /// The pictures.
    let images: String
    /// Paths by the names that `SamplingError` uses, where they differ.
    let sampling: [String: String]

    /// The path of a sampling parameter.
    func path(ofSampling name: String) -> String { sampling[name] ?? name }
}
