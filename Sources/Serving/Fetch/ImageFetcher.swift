import AsyncHTTPClient
import Images
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// Why a picture could not be fetched.
///
/// Messages are fixed: no URL, address or word of the other server is in them.
enum FetchError: Error, Hashable, Sendable {
    case invalidURL
    case refusedAddress
    case unknownHost
    case unreachable
    case redirect
    case badStatus
    case encoded
    case tooLarge(limit: Int)
    case timeout

    /// A sentence for the client.
    var message: String {
        switch self {
        case .invalidURL: "the image URL is not a plain http or https URL"
        case .refusedAddress: "the image URL does not lead to a public address"
        case .unknownHost: "the host of the image URL is not known"
        case .unreachable: "the image could not be fetched"
        case .redirect: "the image URL is redirected; send the address of the image itself"
        case .badStatus: "the server of the image URL did not give an image"
        case .encoded: "the server of the image URL sent a Content-Encoding nobody asked for"
        case .tooLarge(let limit): "the image has more than \(limit) bytes"
        case .timeout: "fetching the image took too long"
        }
    }
}

/// Fetches pictures over HTTP and HTTPS from public addresses: the only place that opens a connection for a
/// client.
///
/// The host is looked up once, every address it has must be allowed, and the first of those is dialled: there
/// is no second look-up that could give another one. Redirects are refused, the time is bounded as a whole,
/// the bytes too. A URL that is being fetched is not fetched a second time meanwhile.
struct ImageFetcher: Sendable {
    private let resolver: any HostResolver
    private let policy: AddressPolicy
    private let slots: Limiter
    private let shared = SharedFetches()
    private let seconds: Double
    private let maxBytes: Int
    private let authorities: TrustedCertificates?
    private let group: any EventLoopGroup

    /// Fetches within the limits of `configuration`.
    init(configuration: ServerConfiguration, resolver: any HostResolver, group: any EventLoopGroup) {
        self.resolver = resolver
        policy = AddressPolicy(allowsLocal: configuration.allowPrivateURLs)
        slots = Limiter(count: configuration.maxConcurrentFetches)
        seconds = min(max(configuration.fetchSeconds, 0.001), 3_600)
        maxBytes = configuration.imageLimits.maxByteCount
        authorities = configuration.imageAuthorities
        self.group = group
    }

    /// The bytes behind `text`.
    ///
    /// Throws `FetchError`, or `CancellationError` when the task is cancelled.
    func fetch(_ text: String) async throws -> [UInt8] {
        guard let url = ImageURL(text) else { throw FetchError.invalidURL }
        return try await withThrowingTaskGroup(of: [UInt8].self) { tasks in
            tasks.addTask {
                try await shared.bytes(of: url) { try await slots.run { try await fetch(url) } }
            }
            tasks.addTask {
                try await Task.sleep(for: .seconds(seconds))
                throw FetchError.timeout
            }
            defer { tasks.cancelAll() }
            guard let bytes = try await tasks.next() else { throw FetchError.unreachable }
            return bytes
        }
    }

    private func fetch(_ url: ImageURL) async throws -> [UInt8] {
        let addresses = try await resolver.resolve(url.host)
        guard let first = addresses.first else { throw FetchError.unknownHost }
        guard policy.allows(addresses.map(\.address)) else { throw FetchError.refusedAddress }
        let client = HTTPClient(
            eventLoopGroupProvider: .shared(group), configuration: configuration(dialling: first, for: url))
        // Not `defer`, which cannot await; nothing is left open, whichever way it ends.
        do {
            let bytes = try await receive(url, from: client)
            try await client.shutdown()
            return bytes
        } catch {
            try? await client.shutdown()
            if let error = error as? FetchError { throw error }
            try Task.checkCancellation()
            throw FetchError.unreachable
        }
    }

    private func receive(_ url: ImageURL, from client: HTTPClient) async throws -> [UInt8] {
        var request = HTTPClientRequest(url: url.text)
        request.headers = ["Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "vireo"]
        // Safe: `seconds` is at most an hour.
        let response = try await client.execute(request, timeout: .milliseconds(Int64(seconds * 1_000) + 1))
        switch response.status.code {
        case 200: break
        case 300..<400: throw FetchError.redirect
        default: throw FetchError.badStatus
        }
        if let encoding = response.headers.first(name: "Content-Encoding"),
            encoding.lowercased() != "identity"
        {
            throw FetchError.encoded
        }
        if let length = response.headers.first(name: "Content-Length").flatMap({ Int($0) }), length > maxBytes
        {
            throw FetchError.tooLarge(limit: maxBytes)
        }
        var bytes: [UInt8] = []
        for try await chunk in response.body {
            // Safe: both are below 4 GiB.
            guard bytes.count + chunk.readableBytes <= maxBytes else {
                throw FetchError.tooLarge(limit: maxBytes)
            }
            bytes += chunk.readableBytesView
        }
        return bytes
    }

    /// Dials `target` for the URL's host, and nothing else: a connection to another address fails.
    private func configuration(dialling target: ResolvedAddress, for url: ImageURL)
        -> HTTPClient.Configuration
    {
        let address = try? SocketAddress(ipAddress: target.text, port: url.port)
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow, timeout: .init(connect: .seconds(5), read: .seconds(10)),
            decompression: .disabled,
            http1_1ConnectionDebugInitializer: { channel in
                guard let address, channel.remoteAddress == address else {
                    return channel.eventLoop.makeFailedFuture(FetchError.refusedAddress)
                }
                return channel.eventLoop.makeSucceededVoidFuture()
            })
        if let authorities {
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.additionalTrustRoots = [.certificates(authorities.certificates)]
            configuration.tlsConfiguration = tls
        }
        configuration.httpVersion = .http1Only
        configuration.dnsOverride = [url.host: target.text]
        configuration.connectionPool.retryConnectionEstablishment = false
        return configuration
    }
}
