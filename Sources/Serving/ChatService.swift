import Engine
import Prompts
import Scheduling

/// Turns a request of either API into a running generation: pictures → prompt → engine → first event.
///
/// Everything that can be wrong with a request is found before `begin` returns, so that it still has a status
/// of its own, also when the answer is to be streamed.
struct ChatService: Sendable {
    let engine: Replicas
    let prompts: PromptBuilder
    let images: ImageLoader
    let maxImages: Int

    /// Begins the first of the answers that are wanted.
    ///
    /// Throws `ServingError`, or `CancellationError` when the task is cancelled.
    func begin(_ request: GenerationRequest) async throws -> Generation {
        guard let first = try await beginAll(request).first else { throw ServingError.failed }
        return first
    }

    /// Begins all answers that are wanted: those after the first run once the prompt is computed.
    ///
    /// Throws `ServingError`, or `CancellationError` when the task is cancelled.
    func beginAll(_ request: GenerationRequest) async throws -> [Generation] {
        try checkImageCount(request)
        try checkLength(request)
        let planned = try await images.load(request.images, maxTiles: request.maxTiles)
        var prompt = try prepare(request, images: planned)
        prompt.usesPrefixCache = request.usesPrefixCache
        let streams = try submit(prompt, images: planned, request: request)
        let start = try await firstEvent(of: streams[0], request: request)
        return streams.map { stream in
            Generation(
                tokens: stream, start: start, request: request, tokenizer: prompts.tokenizer,
                promptTokenIDs: prompt.tokenIDs, imageTokenCount: prompt.imageTokenCount)
        }
    }

    /// How many tokens the prompt of a request has, those of its pictures among them; nothing is run.
    func countTokens(_ request: GenerationRequest) async throws -> Int {
        try checkImageCount(request)
        let planned = try await images.load(request.images, maxTiles: request.maxTiles)
        return try prepare(request, images: planned).tokenIDs.count
    }

    /// The most pictures that a request may have.
    private func checkImageCount(_ request: GenerationRequest) throws(ServingError) {
        let count = request.images.count
        guard count > 0 else { return }
        guard prompts.takesImages else {
            throw ServingError(PromptError.imagesNotSupported, param: request.params.images)
        }
        guard count <= maxImages else {
            throw ServingError(
                AdmissionError.tooManyImages(count: count, limit: maxImages),
                promptParam: request.params.prompt,
                imageParam: request.params.images)
        }
    }

    /// Refuses what is too long beyond doubt before it is tokenized, by LightLLM's rule: eight characters a
    /// token.
    private func checkLength(_ request: GenerationRequest) throws(ServingError) {
        let limit = engine.limits.maxSequenceLength
        let isTooLong =
            switch request.prompt {
            case .tokenIDs(let ids): ids.count > limit
            case .text(let text, _): Self.characters([text], exceed: limit)
            case .conversation(let conversation): Self.characters(conversation.texts, exceed: limit)
            }
        if isTooLong {
            throw .badRequest(
                "the prompt is too long; with an answer at most \(limit) tokens fit",
                param: request.params.prompt)
        }
    }

    private static func characters(_ texts: [String], exceed tokenLimit: Int) -> Bool {
        let limit = tokenLimit.multipliedReportingOverflow(by: 8)
        guard !limit.overflow else { return false }
        // Counting bytes is free, counting characters is not: only what is near the limit is counted.
        let byteCount = texts.reduce(0) { $0 + $1.utf8.count }
        if byteCount <= limit.partialValue { return false }
        if byteCount / 4 > limit.partialValue { return true }
        return texts.reduce(0) { $0 + $1.unicodeScalars.count } > limit.partialValue
    }

    private func prepare(
        _ request: GenerationRequest, images planned: [PlannedImage],
    ) throws(ServingError) -> PreparedPrompt {
        do throws(PromptError) {
            switch request.prompt {
            case .text(let text, let addSpecialTokens):
                return try prompts.prompt(text: text, images: planned, addSpecialTokens: addSpecialTokens)
            case .tokenIDs(let ids):
                return try prompts.prompt(tokenIDs: ids, images: planned)
            case .conversation(let conversation):
                return try prompts.prompt(conversation: conversation, images: planned)
            }
        } catch {
            throw ServingError(error, param: request.params.prompt)
        }
    }

    private func submit(
        _ prompt: PreparedPrompt, images planned: [PlannedImage], request: GenerationRequest,
    ) throws(ServingError) -> [TokenStream] {
        let choice = request.sampling
        let sampling: SamplingParameters
        do throws(SamplingError) {
            sampling = try SamplingParameters(
                temperature: choice.temperature, topK: choice.topK, topP: choice.topP, minP: choice.minP,
                seed: choice.seed,
                maxNewTokens: choice.maxNewTokens ?? max(1, engine.limits.maxSequenceLength),
                minNewTokens: choice.minNewTokens, ignoresEnd: choice.ignoresEnd,
                penalties: choice.penalties, rules: choice.rules, topLogprobCount: choice.topLogprobCount,
                promptLogprobCount: choice.promptLogprobCount)
        } catch {
            throw ServingError(error, param: request.params.path(ofSampling: error.parameter))
        }
        do throws(AdmissionError) {
            return try engine.submit(
                prompt, images: planned.map { ImageSource(picture: $0.picture) }, sampling: sampling,
                count: request.answerCount)
        } catch .sampling(let error) {
            throw ServingError(error, param: request.params.path(ofSampling: error.parameter))
        } catch {
            throw ServingError(error, promptParam: request.params.prompt, imageParam: request.params.images)
        }
    }

    /// Waits until the request runs.
    private func firstEvent(of stream: TokenStream, request: GenerationRequest) async throws -> RequestStart {
        do {
            var events = stream.makeAsyncIterator()
            guard case .started(let start)? = try await events.next() else {
                try Task.checkCancellation()
                throw ServingError.failed
            }
            return start
        } catch GenerationError.image(let index, let error) {
            let param =
                request.images.indices.contains(index) ? request.images[index].param : request.params.images
            throw ServingError(error, param: param)
        } catch GenerationError.cancelled {
            try Task.checkCancellation()
            throw ServingError.shuttingDown
        } catch is GenerationError {
            throw ServingError.failed
        }
    }
}

extension Conversation {
    /// The text of all messages.
    var texts: [String] {
        messages.flatMap { message in
            message.parts.compactMap { part in
                if case .text(let text) = part { text } else { nil }
            }
        }
    }
}
