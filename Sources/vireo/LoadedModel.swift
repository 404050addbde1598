import CPUBackend
import Checkpoints
import Engine
import Images
import Jinja
import Models
import Prompts
import Tensors
import Tokenizers

/// A checkpoint ready to run: model, tokenizer and prompt rules.
struct LoadedModel {
    let description: ModelDescription
    /// The parts of the model, one a rank, for each of its replicas.
    let replicas: [[ModelRank]]
    /// Replicas that share the memory of one device, or the host's.
    let replicasSharing: Int
    /// The ways to other machines: from the first to all others, from another to the first.
    let links: [NodeLink]
    /// Vision towers among them.
    let towerCount: Int
    let tokenizer: Tokenizer
    let prompts: PromptBuilder
    /// The first rank's.
    let device: any Device
    /// Seconds that loading the weights took.
    let loadSeconds: Double
    /// Bytes of the checkpoint; zero for random weights.
    let loadedByteCount: Int

    /// Loads what `options` name, with a progress bar on a terminal; see below for `sharesImages`.
    init(_ options: ModelOptions, sharesImages: Bool = false) throws {
        try self.init(
            options,
            on: options.device.make(
                options.elementType, count: options.parallel.ranksHere, replicas: options.parallel.replicas),
            sharesImages: sharesImages)
    }

    /// Loads it on `devices`, one a rank of each replica; once where all are the same.
    ///
    /// With `sharesImages` the keys of pictures are those of every process that computes the same embeddings.
    init(_ options: ModelOptions, on devices: [any Device], sharesImages: Bool = false) throws {
        let folder = options.modelFolder
        var description = try ModelFamilies.describe(folder)
        if !options.endIDs.isEmpty { description.generation.endIDs = options.endIDs.map { Int32($0) } }
        try Self.limitTiles(&description, options)
        let tokenizer = try Self.tokenizer(folder)
        let rules = try description.vision.map {
            Self.rules($0, identity: sharesImages ? try Self.identity(options, devices[0]) : folder)
        }
        let template = try ChatTemplateFile.load(
            folder: folder, override: options.chatTemplate, builtIn: description.templateName, rules: rules)
        prompts = try PromptBuilder(
            tokenizer: tokenizer, template: template, rules: rules,
            vocabularyCount: description.text.vocabularyCount)
        try Self.check(description, on: devices[0])
        try Self.check(description, options.parallel, on: devices[0])
        if options.quantType != "none", devices[0].isAsynchronous {
            throw StartError(
                "--quant_type \(options.quantType) is for --device cpu; a GPU keeps weights in bfloat16 in this version"
            )
        }
        let source: any TensorSource =
            options.loadFormat == "dummy"
            ? ModelFamilies.randomWeights(for: description, seed: 0) : try Checkpoint(folder: folder)
        let towers = options.parallel.towers, count = options.parallel.ranks
        let links = options.parallel.nodes > 1 ? try options.meetNodes(on: devices[0], source) : []
        let start = ContinuousClock.now
        let size = devices.count / options.parallel.replicas
        let places = try stride(from: 0, to: devices.count, by: size).flatMap {
            try options.collectives(Array(devices[$0..<($0 + size)]), links)
        }
        let bar = ProgressBar(total: source.byteCount), threads = try Environment.loaderThreads()
        let (kept, elementType, textFormat) = (description, options.elementType, options.textFormat)
        let processor = devices[0] as? CPUDevice
        let isShared = processor != nil && devices.allSatisfy { $0 as? CPUDevice === processor }
        let loadCount = isShared ? 1 : devices.count
        let loaded = try inParallel(count: loadCount, threads: loadCount) {
            (rank: Int) throws(ModelError) in
            let model = try ModelFamilies.load(
                source, description: kept, device: devices[rank], elementType: elementType,
                textFormat: textFormat, loaderThreads: threads,
                towers: TowerCollectives(
                    text: count > 1 ? places[rank].all : nil,
                    vision: count > towers ? places[rank].group : nil),
                progress: { if rank == 0 { bar.show($0.byteCount) } })
            return ModelRank(
                model: model, device: devices[rank], collective: count > 1 ? places[rank].all : nil)
        }
        let ranks = isShared ? Array(repeating: loaded[0], count: devices.count) : loaded
        replicas = stride(from: 0, to: ranks.count, by: size).map { Array(ranks[$0..<($0 + size)]) }
        replicasSharing = options.device.replicasSharing(devices, replicas: options.parallel.replicas)
        self.links = links
        towerCount = towers
        loadSeconds = (ContinuousClock.now - start) / .seconds(1)
        loadedByteCount = source.byteCount
        self.description = description
        self.tokenizer = tokenizer
        device = devices[0]
    }

    /// Lowers the bounds on pictures as the options and LightLLM's variables say.
    private static func limitTiles(_ description: inout ModelDescription, _ options: ModelOptions) throws {
        switch description.vision?.cut {
        case nil: return
        case .tiles(var tiling, let tokensPerTile):
            guard options.maxImageTokens == nil else {
                throw StartError(
                    "--max_image_token_count is for models whose pictures keep their size; this one cuts tiles: use "
                        + "--max_tiles")
            }
            if let length = try Environment.imageLength(), length != tokensPerTile {
                throw StartError(
                    "INTERNVL_IMAGE_LENGTH is \(length), but this model's tower makes \(tokensPerTile) tokens of a "
                        + "tile; unset the variable or set it to \(tokensPerTile)")
            }
            guard let cap = try options.maxTiles ?? Environment.maxTiles() else { return }
            tiling.maxTiles = cap
            tiling.minTiles = min(tiling.minTiles, cap)
            description.vision?.cut = .tiles(tiling, tokensPerTile: tokensPerTile)
        case .patches(var patches):
            guard options.maxTiles == nil else {
                throw StartError(
                    "--max_tiles is for models that cut tiles; this one's pictures keep their size: use "
                        + "--max_image_token_count")
            }
            guard let cap = options.maxImageTokens else { return }
            patches.maxPixels = min(patches.maxPixels, cap * patches.tokenSize * patches.tokenSize)
            patches.minPixels = min(patches.minPixels, patches.maxPixels)
            description.vision?.cut = .patches(patches)
        case .views, .split:
            guard options.maxTiles == nil, options.maxImageTokens == nil else {
                throw StartError(
                    "--max_tiles and --max_image_token_count are for other models: the sizes of this one's "
                        + "pictures are fixed by its configuration")
            }
        }
    }

    /// What `body` makes with `engine`; a failure of the engine is told with its reason.
    static func running<Value>(_ engine: Engine, _ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch GenerationError.failed {
            throw StartError(engine.failure ?? "the model's logits are not finite")
        }
    }

    /// Throws for steps that are smaller than a picture which must be in one.
    private func checkSteps(_ options: EngineOptions) throws {
        if let vision = description.vision, vision.seesWholePictures {
            // A picture sees all of itself, so its tokens must be in one step.
            let most = vision.cut.mostPages * vision.cut.tokensPerPage
            for (flag, size) in [
                ("--chunked_prefill_size", options.chunkSize), ("--batch_max_tokens", options.tokensPerStep),
            ] {
                if let size, size < most {
                    throw StartError(
                        "\(flag) is \(size), but must be at least \(most), the tokens of a picture of this model"
                    )
                }
            }
        }
    }

    /// The ranks of the first replica.
    var ranks: [ModelRank] { replicas[0] }

    /// An engine for the first replica.
    func makeEngine(_ options: EngineOptions, elementType: ElementType) throws -> Engine {
        try checkSteps(options)
        do throws(EngineError) {
            return try Engine(
                ranks: ranks, towerCount: towerCount, links: links,
                configuration: options.configuration(elementType), vocabularyCount: tokenizer.vocabularyCount)
        } catch {
            throw Self.startError(error)
        }
    }

    /// An engine for each replica; they share embeddings with others through `stores`, one each or none.
    func makeReplicas(
        _ options: EngineOptions, elementType: ElementType, stores: [any EmbeddingStore] = [],
    ) throws -> Replicas {
        try checkSteps(options)
        do throws(EngineError) {
            return try Replicas(
                replicas, towerCount: towerCount, links: links, sharing: replicasSharing,
                configuration: options.configuration(elementType, replicaCount: replicas.count),
                vocabularyCount: tokenizer.vocabularyCount, stores: stores)
        } catch {
            throw Self.startError(error)
        }
    }

    private static func startError(_ error: EngineError) -> StartError {
        switch error {
        case .notEnoughMemory(let wanted, let available):
            StartError(
                "the cache of keys and values needs \(wanted >> 20) MiB, but \(available >> 20) MiB are free for "
                    + "it; lower --max_total_token_num or --max_req_total_len, or raise --mem_fraction")
        case .device(let reason): StartError("\(reason)")
        case .noThread: StartError("the system gives no thread; raise the limit on processes")
        }
    }

    /// Throws for a model that cannot be divided so.
    private static func check(
        _ description: ModelDescription, _ parallel: ParallelOptions, on device: any Device,
    ) throws {
        if let obstacle = description.text.obstacle(toRanks: parallel.ranks) {
            throw StartError(
                "--tp \(parallel.ranks) does not divide the text tower, which has \(obstacle)")
        }
        if parallel.nodes > 1, case .views = description.vision?.cut, description.vision?.cut.isWhole == true
        {
            throw StartError(
                "--nnodes \(parallel.nodes) is not supported for a model whose pictures are cut into views of several sizes"
            )
        }
        if device.isAsynchronous, parallel.ranks > 1, !description.text.hiddenSize.isMultiple(of: 4) {
            throw StartError(
                "--tp \(parallel.ranks) is not supported on GPUs for a hidden size of \(description.text.hiddenSize), "
                    + "but for multiples of 4")
        }
    }

    /// Throws for a model that the device has no kernels for, before its weights are read.
    private static func check(_ description: ModelDescription, on device: any Device) throws {
        let heads = description.text.heads.headDim
        let turning = description.text.rotary.pairCount(headDim: heads)
        do throws(DeviceError) {
            try device.checkHeads(headDim: heads, turningPairs: turning)
            try device.checkRows(description.text.hiddenSize)
            if let experts = description.text.experts {
                try device.checkExperts(
                    count: experts.count, topCount: experts.topCount, hidden: description.text.hiddenSize)
            }
            guard let vision = description.vision else { return }
            try device.checkHeads(
                headDim: vision.headDim, turningPairs: vision.hasRotation ? vision.headDim / 2 : 0)
            try device.checkRows(vision.projectorInputs)
        } catch {
            throw StartError("\(error)")
        }
    }

    private static func tokenizer(_ folder: String) throws -> Tokenizer {
        do {
            let found = try TokenizerFolder.load { try Files.read("\(folder)/\($0)", atMost: 256 << 20) }
            if let found { return found }
        } catch let error as TokenizerError {
            throw StartError(error.message)
        }
        throw StartError(
            "\(folder) has none of \(TokenizerFolder.fileNames.joined(separator: ", ")); save a tokenizer.json with "
                + "transformers: AutoTokenizer.from_pretrained(…).save_pretrained(…)")
    }

    /// Tells the embeddings that are computed here from all others.
    private static func identity(_ options: ModelOptions, _ device: any Device) throws -> String {
        // The number of threads on the processor changes nothing.
        let place = (device as? CPUDevice).map { "CPU \($0.level)" } ?? device.name
        return try ModelIdentity.digest(
            folder: options.modelFolder, hasRandomWeights: options.loadFormat == "dummy",
            computation: "\(Build.version) \(options.elementType.rawValue) \(place) "
                + "over \(options.parallel.ranksPerTower)")
    }

    private static func rules(_ vision: VisionShape, identity: String) -> ImageRules {
        ImageRules(
            cut: vision.cut, start: vision.markers.start,
            context: vision.markers.context, end: vision.markers.end,
            areNumbered: vision.markers.areNumbered, surroundings: vision.markers.surroundings,
            modelIdentity: identity)
    }
}

/// Why the program cannot start, in a sentence that says what to do.
struct StartError: Error, CustomStringConvertible {
    let description: String

    /// Takes the sentence.
    init(_ description: String) { self.description = description }
}
