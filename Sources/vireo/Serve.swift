import ArgumentParser
import Engine
import Glibc
import Images
import Logging
import Models
import Serving

/// `vireo serve`: the HTTP server.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serves a checkpoint over HTTP: LightLLM's native API and OpenAI's.",
        discussion: """
            LightLLM's launch lines work with the program's name changed:

              INTERNVL_IMAGE_LENGTH=256 LOADWORKER=12 vireo serve --port 8080 --tp 1 --model_dir DIR \\
                --mem_fraction 0.8 --trust_remote_code --visual_infer_batch_size 2 --cache_capacity 500

            Environment: LOADWORKER (threads that load weights), INTERNVL_IMAGE_LENGTH (checked against the tower), \
            MAX_PATCH_NUM (the most tiles of a picture), VIREO_API_KEY (a key that clients must send).
            """)

    @OptionGroup(title: "Model") var model: ModelOptions
    @OptionGroup(title: "Engine") var engine: EngineOptions
    @OptionGroup(title: "Shared image cache") var sharing: SharedCacheOptions
    @OptionGroup(title: "HTTP") var http: HTTPOptions
    @OptionGroup(title: "Access") var access: AccessOptions

    func run() async throws {
        let start = ContinuousClock.now
        if model.trustsRemoteCode {
            Console.error("--trust_remote_code has no effect: code from a checkpoint is never run")
        }
        // A client or a log reader that goes away is no reason to end.
        signal(SIGPIPE, SIG_IGN)
        // Before the model, which takes its time.
        let (keys, tls, authorities) = (try access.keys(), try access.identity(), try http.authorities())
        let stores = try (0..<model.parallel.replicas).compactMap { _ in try sharing.store() }
        let loaded = try LoadedModel(model, sharesImages: !stores.isEmpty)
        if model.parallel.nodeRank > 0 { return try follow(loaded, since: start) }
        let engine = try loaded.makeReplicas(engine, elementType: model.elementType, stores: stores)
        if let store = stores.first {
            try sharing.check(store, takesPictures: loaded.description.vision != nil)
        }
        Console.error(Summary.line(loaded, engine, model))
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        var configuration = http.configuration(modelFolder: model.modelFolder, loaded.description.generation)
        configuration.startArguments = startArguments
        configuration.keys = keys
        configuration.crossOrigin = CrossOriginPolicy(access.origins)
        configuration.tls = tls
        configuration.imageAuthorities = authorities
        let address = "\(tls == nil ? "http" : "https")://\(configuration.host)"
        let server = Server(
            configuration: configuration, engine: engine, prompts: loaded.prompts,
            logger: Logger(label: "vireo"),
            onReady: { port in
                let seconds = (ContinuousClock.now - start) / .seconds(1)
                Console.error("ready on \(address):\(port) after \(Text.seconds(seconds))")
            })
        try await server.run()
    }

    /// Does what node 0 says until it ends.
    private func follow(_ loaded: LoadedModel, since start: ContinuousClock.Instant) throws {
        let follower = NodeFollower(
            loaded.links[0], ranks: loaded.ranks, towerCount: loaded.towerCount,
            elementType: model.elementType)
        do throws(NodeError) {
            try follower.run {
                let seconds = (ContinuousClock.now - start) / .seconds(1)
                Console.error(
                    "node \(model.parallel.nodeRank) is ready after \(Text.seconds(seconds)) and does what node 0 says"
                )
            }
        } catch {
            throw StartError("\(error)")
        }
    }
}

/// Where and how the server listens.
struct HTTPOptions: ParsableArguments {
    @Option(name: .flag("host"), help: "The address to listen on.")
    var host = "127.0.0.1"

    @Option(name: .flag("port"), help: "The port to listen on; 0 takes a free one.")
    var port = 8000

    @Option(name: .flag("model_name"), help: "The model's name in the API; by default the folder's.")
    var modelName: String?

    @Option(name: .flag("max_images"), help: "The most pictures of a request.")
    var maxImages = 32

    @Option(name: .flag("max_image_pixels"), help: "The most pixels of a picture.")
    var maxImagePixels = 64_000_000

    @Option(name: .flag("max_body_bytes"), help: "The most bytes of a request.")
    var maxBodyBytes = 64 << 20

    @Option(name: .flag("image_url_timeout"), help: "Seconds that fetching one picture may take in all.")
    var fetchSeconds = 10.0

    @Option(
        name: .flag("image_url_ca"),
        help:
            "A PEM file of certificates that those of https image URLs may be signed with, beside the system's."
    )
    var authoritiesFile: String?

    @Flag(name: .flag("allow_private_urls"), help: "Let image URLs lead to loopback and private addresses.")
    var allowsPrivateURLs = false

    @Option(name: .flag("shutdown_timeout"), help: "Seconds that running requests may go on after SIGTERM.")
    var drainSeconds = 30.0

    @Option(name: .flag("health_timeout"), help: "Seconds without progress after which /health answers 503.")
    var stallSeconds = 60.0

    func validate() throws {
        try Bounds.check("--port", port, 0...65535)
        try Bounds.check("--max_images", maxImages, 1...10_000)
        try Bounds.check("--max_image_pixels", maxImagePixels, 1...1_000_000_000)
        try Bounds.check("--max_body_bytes", maxBodyBytes, 1024...(1 << 40))
        for (flag, value) in [
            ("--image_url_timeout", fetchSeconds), ("--shutdown_timeout", drainSeconds),
            ("--health_timeout", stallSeconds),
        ] {
            guard value >= 0, value <= 86_400 else {
                throw ValidationError("\(flag) must be from 0 to 86400 seconds")
            }
        }
        guard !host.isEmpty else { throw ValidationError("--host must not be empty") }
    }

    /// The certificates of `--image_url_ca`.
    func authorities() throws -> TrustedCertificates? {
        guard let authoritiesFile else { return nil }
        do throws(TLSFileError) {
            return try TrustedCertificates(file: authoritiesFile)
        } catch {
            throw StartError("\(error); give a PEM file with --image_url_ca")
        }
    }

    /// The server's configuration.
    func configuration(modelFolder: String, _ generation: GenerationDefaults) -> ServerConfiguration {
        let folderName = modelFolder.split(separator: "/").last.map(String.init) ?? "model"
        var configuration = ServerConfiguration(host: host, port: port, modelName: modelName ?? folderName)
        configuration.version = Build.version
        configuration.maxImages = maxImages
        configuration.imageLimits.maxPixelCount = maxImagePixels
        configuration.maxBodyBytes = maxBodyBytes
        configuration.fetchSeconds = fetchSeconds
        configuration.allowPrivateURLs = allowsPrivateURLs
        configuration.drainSeconds = drainSeconds
        configuration.stallSeconds = stallSeconds
        configuration.samplingDefaults = SamplingDefaults(
            samples: generation.doSample, temperature: generation.temperature.map { Double($0) },
            topP: generation.topP.map { Double($0) }, topK: generation.topK,
            repetitionPenalty: generation.repetitionPenalty.map { Double($0) })
        return configuration
    }
}
