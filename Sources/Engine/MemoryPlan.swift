import Images
import Models
import Scheduling
package import Tensors

/// How much of each store an engine gets.
struct MemoryPlan {
    private(set) var limits: SchedulerLimits
    /// Bytes of a page of embeddings.
    let imagePageBytes: Int

    /// Divides the free memory: embeddings first, up to their own bound, then keys and values, up to what all
    /// running requests could use.
    ///
    /// `rankCount` ranks share the memory of `device`, and so do as many for each other of `replicaCount` replicas. Throws
    /// when not even one token page fits.
    init(
        _ loaded: any VisionLanguageModel, device: any Device, rankCount: Int, replicaCount: Int = 1,
        configuration: EngineConfiguration,
    ) throws(EngineError) {
        let model = loaded.description, text = model.text, heads = loaded.cacheHeads
        let length = min(text.maxPositions, configuration.maxSequenceLength ?? text.maxPositions)
        // Safe: sizes were checked when the configuration was read; a byte count of a page is far below overflow.
        let pageBytes =
            2 * text.layerCount * heads.keyValueHeads * heads.headDim * configuration.pageSize
            * configuration.elementType.byteCount
        let budget =
            Int(Double(device.freeByteCount) * configuration.memoryFraction) / rankCount / replicaCount
        let rows = model.vision?.cut.tokensPerPage ?? 1
        imagePageBytes =
            rows * (model.vision?.planeCount ?? 1) * text.hiddenSize * ElementType.f32.byteCount
        let pagesPerImage = model.vision?.cut.mostPages ?? 0
        let imagePages =
            model.vision == nil
            ? 0
            : min(
                min(configuration.imageCacheBytes / rankCount, budget / 4) / imagePageBytes,
                // What the entries could take, if each were as large as a picture gets by default.
                max(1, configuration.imageCapacity) * max(pagesPerImage, 1))
        let sequencePages = (length + configuration.pageSize - 1) / configuration.pageSize
        let wanted =
            configuration.cachedTokens.map { $0 / configuration.pageSize }
            ?? min(sequencePages * configuration.runningRequests, Int(Int32.max) / configuration.pageSize)
        let available = (budget - imagePages * imagePageBytes) / pageBytes
        let pages = configuration.cachedTokens == nil ? min(wanted, available) : wanted
        guard pages > 0, pages <= available else {
            throw .notEnoughMemory(
                wanted: max(1, wanted) * pageBytes, available: max(0, available) * pageBytes)
        }
        var tokensPerStep = configuration.tokensPerStep ?? device.preferredTokensPerStep
        let running = min(configuration.runningRequests, tokensPerStep)
        // A picture that sees all of itself has room in a step beside a token of every other request.
        let together = model.vision.map { $0.seesWholePictures ? $0.cut.mostPages * rows : 0 } ?? 0
        if together > 0 { tokensPerStep = max(tokensPerStep, running + together) }
        limits = SchedulerLimits(
            pageCount: pages, pageSize: configuration.pageSize, modelLength: length, runningRequests: running,
            tokensPerStep: tokensPerStep,
            chunkSize: max(configuration.chunkSize ?? max(1, tokensPerStep / 2), together),
            imageCapacity: model.vision == nil ? 0 : max(1, configuration.imageCapacity),
            imagePageCount: imagePages,
            rowsPerImagePage: rows,
            tilesPerStep: model.vision?.cut.isAlone == true
                ? 1 : configuration.tilesPerStep ?? device.preferredTilesPerStep,
            preparations: configuration.decoders)
        limits.encodesWholePictures = model.vision?.cut.isWhole ?? false
        limits.keepsPicturesTogether = together > 0
        limits.keepsPrefixes = configuration.keepsPrefixes
    }

    /// Makes no store larger than that of `other`, a plan for the same model and configuration.
    mutating func limit(to other: MemoryPlan) {
        limits.pageCount = min(limits.pageCount, other.limits.pageCount)
        limits.imagePageCount = min(limits.imagePageCount, other.limits.imagePageCount)
    }
}

/// Why an engine cannot start.
package enum EngineError: Error, Hashable, Sendable {
    /// The cache of keys and values does not fit; in bytes.
    case notEnoughMemory(wanted: Int, available: Int)
    /// The device refuses.
    case device(DeviceError)
    /// The system gives no thread.
    case noThread
}
