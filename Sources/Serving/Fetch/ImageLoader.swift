import Images
import Prompts

/// A picture of a request, not read yet.
struct ImageReference: Sendable, Hashable {
    /// How the client gave it.
    enum Source: Sendable, Hashable {
        /// `http` or `https`.
        case url(String)
        /// A whole `data:` URL.
        case dataURL(String)
        /// Base64 alone.
        case base64(String)
        /// Only the size in pixels, for counting.
        case size(width: Int, height: Int)
    }

    let source: Source
    /// The field of the request, for errors.
    let param: String
}

/// Reads the pictures of requests and plans them, several at a time.
struct ImageLoader: Sendable {
    private let fetcher: ImageFetcher
    private let prompts: PromptBuilder
    private let limits: ImageLimits
    /// Decoding base64 and hashing, which need a processor each.
    private let processors: Limiter

    init(fetcher: ImageFetcher, prompts: PromptBuilder, limits: ImageLimits, processorCount: Int) {
        self.fetcher = fetcher
        self.prompts = prompts
        self.limits = limits
        processors = Limiter(count: processorCount)
    }

    /// The planned pictures in the order of `references`; the first failure ends all the work.
    func load(_ references: [ImageReference], maxTiles: Int?) async throws -> [PlannedImage] {
        guard maxTiles == nil || prompts.cutsTiles else {
            throw ServingError.badRequest(
                "this model's pictures keep their size: there are no tiles to bound",
                param: "parameters.image_max_patch_num")
        }
        return try await withThrowingTaskGroup(of: (Int, PlannedImage).self) { group in
            for (index, reference) in references.enumerated() {
                group.addTask { (index, try await load(reference, maxTiles: maxTiles)) }
            }
            var planned = [PlannedImage?](repeating: nil, count: references.count)
            for try await (index, image) in group { planned[index] = image }
            return planned.compactMap(\.self)
        }
    }

    private func load(_ reference: ImageReference, maxTiles: Int?) async throws -> PlannedImage {
        do {
            if case .size(let width, let height) = reference.source {
                return try prompts.plan(width: width, height: height, maxTiles: maxTiles, limits: limits)
            }
            let fetched: [UInt8]? =
                if case .url(let text) = reference.source { try await fetcher.fetch(text) } else { nil }
            return try await processors.run {
                try plan(fetched ?? decode(reference.source), maxTiles: maxTiles)
            }
        } catch let error as ImageError {
            throw ServingError(error, param: reference.param)
        } catch let error as FetchError {
            throw ServingError.badRequest(error.message, param: reference.param)
        }
    }

    private func plan(_ bytes: [UInt8], maxTiles: Int?) throws(ImageError) -> PlannedImage {
        try prompts.plan(bytes, maxTiles: maxTiles, limits: limits)
    }

    private func decode(_ source: ImageReference.Source) throws(ImageError) -> [UInt8] {
        switch source {
        case .url, .size: return []
        case .dataURL(let text): return try DataURL(parsing: Array(text.utf8), limits: limits).bytes
        case .base64(let text):
            let bytes = Array(text.utf8)
            let count = Base64.decodedByteCount(of: bytes[...])
            guard count <= limits.maxByteCount else {
                throw .tooManyBytes(count: count, limit: limits.maxByteCount)
            }
            return try Base64.decode(bytes)
        }
    }
}
