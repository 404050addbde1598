package import Engine
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
package import Logging
import NIOCore
import NIOPosix
package import Prompts
import ServiceLifecycle
import UnixSignals

/// Why a server does not run.
package enum ServerError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Something listens on the port already.
    case portInUse(Int)
    /// The port is not for this user.
    case portNotPermitted(Int)
    /// The host is none of this machine's.
    case hostNotAvailable(String)
    /// The device has failed for good; why.
    case deviceFailed(String)
    /// Nothing more is known.
    case failed

    package var description: String {
        switch self {
        case .portInUse(let port):
            "port \(port) is in use; stop what listens there, or choose another with --port"
        case .portNotPermitted(let port): "port \(port) is not permitted; choose one above 1023 with --port"
        case .hostNotAvailable(let host): "\(host) is no address of this machine; choose another with --host"
        case .deviceFailed(let reason): "the device has failed: \(reason)"
        case .failed: "the HTTP server failed"
        }
    }
}

/// The HTTP server of one model, or of several replicas of it.
package struct Server: Sendable {
    private let configuration: ServerConfiguration
    private let engine: Replicas
    private let prompts: PromptBuilder
    private let logger: Logger
    private let onReady: @Sendable (Int) async -> Void

    /// A server that has opened nothing yet; `onReady` is called with the port when requests are taken.
    package init(
        configuration: ServerConfiguration, engine: Replicas, prompts: PromptBuilder, logger: Logger,
        onReady: @escaping @Sendable (Int) async -> Void = { _ in },
    ) {
        self.configuration = configuration
        self.engine = engine
        self.prompts = prompts
        self.logger = logger
        self.onReady = onReady
    }

    /// Serves until SIGTERM or SIGINT, then drains, shuts the engine down and returns; a second signal ends it at
    /// once.
    ///
    /// Throws soon after the device has failed for good, for a supervisor to start it again.
    package func run() async throws(ServerError) {
        do {
            let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
            try await withThrowingTaskGroup(of: Void.self) { group in
                let services = try makeServices()
                group.addTask { try await services.run() }
                group.addTask {
                    var count = 0
                    for await _ in signals {
                        count += 1
                        if count > 1 { return }
                        await services.triggerGracefulShutdown()
                    }
                }
                group.addTask { try await watchDevice() }
                defer { group.cancelAll() }
                try await group.next()
            }
        } catch {
            throw serverError(error)
        }
    }

    /// Throws when the device has failed for good, and who waited for an answer has heard of it.
    private func watchDevice() async throws {
        while true {
            if let reason = engine.failure {
                try await Task.sleep(for: .milliseconds(500))
                throw ServerError.deviceFailed(reason)
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    /// The HTTP server, and the one who drains it.
    func makeServices() throws -> ServiceGroup {
        let state = ServerState()
        let threads = NIOThreadPool(numberOfThreads: 8)
        threads.start()
        let port = configuration.port
        let application = Application(
            responder: makeResponder(state: state, threads: threads),
            server: try makeServer(),
            configuration: ApplicationConfiguration(
                address: .hostname(configuration.host, port: port), serverName: nil, backlog: 1_024),
            onServerRunning: { [onReady] channel in await onReady(channel.localAddress?.port ?? port) },
            logger: logger)
        let drain = DrainService(
            state: state, engine: engine, threads: threads, drainSeconds: configuration.drainSeconds)
        // Services are shut down from the last to the first: drained while it still listens, then closed.
        var group = ServiceGroupConfiguration(
            services: [
                .init(service: application),
                .init(service: drain, successTerminationBehavior: .gracefullyShutdownGroup),
            ],
            logger: logger)
        group.maximumGracefulShutdownDuration = .seconds(configuration.drainSeconds + 15)
        return ServiceGroup(configuration: group)
    }

    private func makeResponder(state: ServerState, threads: NIOThreadPool) -> Responder {
        let metrics = ServingMetrics()
        let budget = ByteBudget(limit: configuration.maxBodyBytesInFlight)
        let fetcher = ImageFetcher(
            configuration: configuration, resolver: SystemResolver(threads: threads),
            group: MultiThreadedEventLoopGroup.singleton)
        let images = ImageLoader(
            fetcher: fetcher, prompts: prompts, limits: configuration.imageLimits,
            processorCount: System.coreCount)
        let service = ChatService(
            engine: engine, prompts: prompts, images: images, maxImages: configuration.maxImages)
        let gate = RequestGate(
            state: state, bodies: BodyReader(maxBytes: configuration.maxBodyBytes, budget: budget),
            slots: RequestSlots(limit: configuration.maxConcurrentRequests))
        let defaults = configuration.samplingDefaults
        let name = configuration.modelName
        let groups: [[Route]] = [
            GenerateRoutes(service: service, gate: gate, defaults: defaults).routes,
            ChatRoutes(service: service, gate: gate, defaults: defaults, modelName: name).routes,
            CompletionRoutes(service: service, gate: gate, defaults: defaults, modelName: name).routes,
            TokenRoutes(service: service, gate: gate).routes,
            InfoRoutes(engine: engine, modelName: name, startArguments: configuration.startArguments).routes,
            ModelRoutes(
                modelName: name, maxSequenceLength: engine.limits.maxSequenceLength,
                created: WallClock.seconds
            ).routes,
            HealthRoutes(engine: engine, state: state, stallSeconds: configuration.stallSeconds).routes,
            MetricsRoutes(
                engine: engine, metrics: metrics, budget: budget, modelName: name,
                version: configuration.version
            ).routes,
        ]
        let access = AccessRules(keys: configuration.keys, crossOrigin: configuration.crossOrigin)
        return Responder(routes: groups.flatMap(\.self), access: access, metrics: metrics, logger: logger)
    }

    private func makeServer() throws -> HTTPServerBuilder {
        let plain = HTTPServerBuilder.http1(configuration: makeChannelConfiguration())
        guard let tls = configuration.tls else { return plain }
        return try .tls(plain, tlsConfiguration: tls.configuration)
    }

    private func makeChannelConfiguration() -> HTTP1Channel.Configuration {
        let times = ConnectionTimes(configuration)
        return HTTP1Channel.Configuration(
            additionalChannelHandlers: [ConnectionGuard(times: times)],
            httpDecoderConfiguration: .init(
                maxHeaderFieldSize: configuration.maxHeaderBytes,
                maxHeaderListSize: configuration.maxHeaderBytes,
                maxHeaderFieldCount: configuration.maxHeaderFields))
    }

    private func serverError(_ error: any Error) -> ServerError {
        if let error = error as? ServerError { return error }
        switch (error as? IOError)?.errnoCode {
        case EADDRINUSE: return .portInUse(configuration.port)
        case EACCES: return .portNotPermitted(configuration.port)
        case EADDRNOTAVAIL: return .hostNotAvailable(configuration.host)
        default: break
        }
        if error is SocketAddressError { return .hostNotAvailable(configuration.host) }
        logger.error("the HTTP server failed", metadata: ["type": "\(type(of: error))"])
        return .failed
    }
}
