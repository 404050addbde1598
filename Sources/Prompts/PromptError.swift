/// Why a prompt cannot be built.
///
/// Messages are fixed: nothing of the prompt appears in them.
package enum PromptError: Error, Hashable, Sendable {
    /// The prompt has no token.
    case empty
    /// As many places for pictures as `tagCount`, but another number of pictures.
    case imageCountMismatch(tagCount: Int, imageCount: Int, tag: String)
    /// Pictures for a model that takes none.
    case imagesNotSupported
    /// The checkpoint brings no chat template.
    case noChatTemplate
    /// The template refuses the conversation, or fails; with its own words where it raised an exception.
    case template(message: String)
    /// The tokenizer lacks the special tokens that mark pictures.
    case missingMarkers
    /// A chat that has all 32 characters from U+FDD0 on, none of which is for text.
    case unusableCharacters
    /// A token id that the model does not have.
    case tokenIDOutOfRange(limit: Int)

    /// A sentence for the client.
    package var message: String {
        switch self {
        case .empty: "the prompt is empty"
        case .imageCountMismatch(let tagCount, let imageCount, let tag):
            "the prompt has \(tagCount) place(s) for images (\(tag)), but the request has \(imageCount) image(s)"
        case .imagesNotSupported: "this model takes no images"
        case .noChatTemplate: "the model has no chat template; use /generate, or start with --chat_template"
        case .template(let message): "the chat template refuses the conversation: \(message)"
        case .missingMarkers: "the tokenizer has no tokens for images (<img>, </img>, <IMG_CONTEXT>)"
        case .unusableCharacters:
            "the conversation has all characters from U+FDD0 to U+FDEF, which are not for text"
        case .tokenIDOutOfRange(let limit): "token ids must be from 0 to \(limit - 1)"
        }
    }
}
