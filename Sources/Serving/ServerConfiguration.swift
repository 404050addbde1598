package import Images
package import JSON

/// What the HTTP side may do and how far it goes.
package struct ServerConfiguration: Sendable {
    // MARK: Where and what

    /// The address to listen on.
    package var host: String
    /// The port to listen on; 0 takes a free one.
    package var port: Int
    /// The model's name, as `/v1/models` gives it.
    package var modelName: String
    /// The program's version, for `/metrics`.
    package var version = "0.1.0"
    /// What the program was started with, for `/get_server_info`; no keys.
    package var startArguments = JSONObject()
    /// What a request leaves open.
    package var samplingDefaults = SamplingDefaults()

    // MARK: Access

    /// The keys that open the routes; none for everybody.
    package var keys = APIKeys()
    /// The web pages that may read answers.
    package var crossOrigin = CrossOriginPolicy()
    /// What HTTPS is spoken with; nil for HTTP.
    package var tls: TLSIdentity?

    // MARK: Requests

    /// The most bytes of a body.
    package var maxBodyBytes = 64 << 20
    /// The most bytes of all bodies whose requests are being prepared.
    package var maxBodyBytesInFlight = 512 << 20
    /// The most generations, running or waiting.
    package var maxConcurrentRequests = 1_024
    /// The most bytes of all header fields.
    package var maxHeaderBytes = 32 << 10
    /// The most header fields.
    package var maxHeaderFields = 100

    // MARK: Pictures

    /// The most pictures of a request.
    package var maxImages = 32
    /// What one picture may cost.
    package var imageLimits = ImageLimits()
    /// Lets image URLs lead to loopback and private addresses.
    package var allowPrivateURLs = false
    /// Certificates that those of HTTPS image URLs may be signed with, beside the system's.
    package var imageAuthorities: TrustedCertificates?
    /// How long fetching one picture may take in all, in seconds.
    package var fetchSeconds = 10.0
    /// The most pictures that are fetched at once.
    package var maxConcurrentFetches = 32

    // MARK: Time

    /// How long a connection may take to send a request's header, in seconds.
    package var headerSeconds = 10.0
    /// How long a connection may rest between requests, in seconds.
    package var keepAliveSeconds = 75.0
    /// How long a body may rest, in seconds; longer by what it brought at 16 KiB/s.
    package var bodySeconds = 30.0
    /// How long a client may leave an answer unread, in seconds.
    package var writeSeconds = 30.0
    /// After how long without a byte a stream gets a comment, in seconds.
    package var commentSeconds = 10.0
    /// How long without progress `/health` calls the engine stalled, in seconds.
    package var stallSeconds = 60.0
    /// How long running requests may go on after SIGTERM, in seconds.
    package var drainSeconds = 30.0

    /// A server of `modelName`, with defaults for everything else.
    package init(host: String = "127.0.0.1", port: Int = 8000, modelName: String) {
        self.host = host
        self.port = port
        self.modelName = modelName
    }
}

/// What a checkpoint's `generation_config.json` says; nil where it is silent.
package struct SamplingDefaults: Sendable, Hashable {
    /// Whether to sample at all (native API).
    package var samples: Bool?
    package var temperature: Double?
    package var topP: Double?
    package var topK: Int?
    package var repetitionPenalty: Double?

    /// Silent on everything unless told.
    package init(
        samples: Bool? = nil, temperature: Double? = nil, topP: Double? = nil, topK: Int? = nil,
        repetitionPenalty: Double? = nil,
    ) {
        self.samples = samples
        self.temperature = temperature
        self.topP = topP
        self.topK = topK
        self.repetitionPenalty = repetitionPenalty
    }
}
