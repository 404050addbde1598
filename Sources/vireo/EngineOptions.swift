import ArgumentParser
import Engine
import Tensors

/// How much runs at once and what is cached.
struct EngineOptions: ParsableArguments {
    @Option(name: .flag("mem_fraction"), help: "The part of the free memory that caches may take.")
    var memoryFraction = 0.8

    @Option(
        name: .flag("max_total_token_num"),
        help: "Tokens whose keys and values are held; by default by memory.")
    var totalTokens: Int?

    @Option(
        name: .flag("max_req_total_len"), help: "The longest prompt and answer; by default the model's limit."
    )
    var sequenceLength: Int?

    @Option(name: .flag("running_max_req_size"), help: "The most requests that run at once.")
    var runningRequests = 256

    @Option(name: .flag("max_queue_size"), help: "The most requests that wait; more are answered 429.")
    var queuedRequests = 256

    @Option(
        name: .flag("batch_max_tokens"),
        help: "The most tokens of a step; by default 2048 on a processor, 8192 on a GPU.")
    var tokensPerStep: Int?

    @Option(
        name: .flag("chunked_prefill_size"),
        help: "The most prompt tokens of one request in a step; by default half.")
    var chunkSize: Int?

    @Flag(name: .flag("disable_dynamic_prompt_cache"), help: "Compute every prompt afresh.")
    var disablesPrefixCache = false

    @Option(name: .flag("cache_capacity"), help: "The most pictures whose embeddings are kept.")
    var imageCapacity = 200

    @Option(name: .flag("embed_cache_storage_size"), help: "The most gigabytes of embeddings that are kept.")
    var imageCacheGigabytes = 4.0

    @Option(
        name: .flag("visual_infer_batch_size"),
        help:
            "The most tiles (64 tokens of a picture that keeps its size) that go through the vision tower at once; by default 4 on a processor, 16 on a GPU."
    )
    var tilesPerStep: Int?

    func validate() throws {
        guard memoryFraction > 0, memoryFraction <= 1 else {
            throw ValidationError("--mem_fraction must be above 0 and at most 1, not \(memoryFraction)")
        }
        guard imageCacheGigabytes > 0, imageCacheGigabytes <= 4096 else {
            throw ValidationError("--embed_cache_storage_size must be above 0 and at most 4096 gigabytes")
        }
        try Bounds.check("--max_total_token_num", totalTokens, 16...(1 << 30))
        try Bounds.check("--max_req_total_len", sequenceLength, 2...(1 << 24))
        try Bounds.check("--running_max_req_size", runningRequests, 1...65536)
        try Bounds.check("--max_queue_size", queuedRequests, 0...1_000_000)
        try Bounds.check("--batch_max_tokens", tokensPerStep, 1...(1 << 20))
        try Bounds.check("--chunked_prefill_size", chunkSize, 1...(1 << 20))
        try Bounds.check("--cache_capacity", imageCapacity, 1...1_000_000)
        try Bounds.check("--visual_infer_batch_size", tilesPerStep, 1...1024)
    }

    /// The configuration of each of `replicaCount` engines for a cache of `elementType`.
    func configuration(_ elementType: ElementType, replicaCount: Int = 1) -> EngineConfiguration {
        var configuration = EngineConfiguration(elementType: elementType)
        configuration.memoryFraction = memoryFraction
        configuration.cachedTokens = totalTokens
        configuration.maxSequenceLength = sequenceLength
        configuration.runningRequests = runningRequests
        configuration.queuedRequests = queuedRequests
        configuration.tokensPerStep = tokensPerStep
        configuration.chunkSize = chunkSize
        configuration.keepsPrefixes = !disablesPrefixCache
        configuration.imageCapacity = imageCapacity
        configuration.imageCacheBytes = Int(imageCacheGigabytes * 0x1p30)
        configuration.tilesPerStep = tilesPerStep
        configuration.decoders = max(2, min(16, Processor.coreCount / 2 / replicaCount))
        return configuration
    }
}
