import Engine
import Logging
import ServiceLifecycle
import Synchronization
import TestSupport
import Testing

@testable import Serving

/// A server of the tiny model on a free port of loopback.
struct TestServer: Sendable {
    let port: Int
    /// The first replica's.
    let engine: Engine
    private let services: ServiceGroup?

    /// The model all these tests share.
    static let modelName = "internvl-qwen2-hf"
    private static let model = Result { try TestModel(modelName) }

    /// Runs `body` beside a server and stops it afterwards, gracefully.
    static func run(
        configure: (inout ServerConfiguration) -> Void = { _ in },
        engine change: (inout EngineConfiguration) -> Void = { _ in },
        altered alteration: (@Sendable (Int) -> AlteredModel.Alteration)? = nil,
        replicas replicaCount: Int = 1,
        _ body: @Sendable @escaping (TestServer) async throws -> Void,
    ) async throws {
        var model = try model.get()
        if let alteration { model.model = AlteredModel(model.model, on: model.device, alteration) }
        let engines = try (0..<replicaCount).map { _ in try model.makeEngine(change) }
        var configuration = ServerConfiguration(port: 0, modelName: "fixture")
        configuration.drainSeconds = 10
        configure(&configuration)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let (ports, ready) = AsyncStream.makeStream(of: Int.self)
        let server = Server(
            configuration: configuration, engine: Replicas(engines), prompts: model.prompts, logger: logger,
            onReady: { port in
                ready.yield(port)
                ready.finish()
            })
        let services = try server.makeServices()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { ready.finish() }
                try await services.run()
            }
            guard let port = await ports.first(where: { (_: Int) in true }) else {
                return try await group.waitForAll()
            }
            do {
                try await body(TestServer(port: port, engine: engines[0], services: services))
            } catch {
                Issue.record(error)
            }
            await services.triggerGracefulShutdown()
            try await group.waitForAll()
        }
    }

    /// What `Server.run` throws on this port, which is taken.
    func errorOfAnother() async throws -> ServerError? {
        let model = try Self.model.get()
        let server = Server(
            configuration: ServerConfiguration(port: port, modelName: "fixture"), engine: Replicas([engine]),
            prompts: model.prompts, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        do throws(ServerError) {
            try await server.run()
            return nil
        } catch {
            return error
        }
    }

    /// What `Server.run` throws when the first replica's device fails for good in step `step`, with `body` beside it.
    static func errorOfFailing(
        inStep step: Int, replicas replicaCount: Int = 1,
        _ body: @Sendable @escaping (TestServer) async throws -> Void,
    ) async throws -> ServerError? {
        var model = try model.get()
        let others = try (1..<replicaCount).map { _ in try model.makeEngine() }
        model.model = AlteredModel(model.model, on: model.device) { $0 == step ? .fatal : .none }
        let engine = try model.makeEngine()
        let (ports, ready) = AsyncStream.makeStream(of: Int.self)
        let server = Server(
            configuration: ServerConfiguration(port: 0, modelName: "fixture"),
            engine: Replicas([engine] + others),
            prompts: model.prompts, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            onReady: { ready.yield($0) })
        async let error: ServerError? = {
            do throws(ServerError) {
                try await server.run()
                return nil
            } catch {
                return error
            }
        }()
        let port = await ports.first { (_: Int) in true }
        try await body(TestServer(port: try #require(port), engine: engine, services: nil))
        defer { ready.finish() }
        return await error
    }

    /// Begins the shutdown that the end of the test would begin.
    func beginShutdown() async { await services?.triggerGracefulShutdown() }

    /// The reply to a request; `head` may add fields.
    func send(
        _ method: String, _ path: String, _ body: String? = nil,
        fields: [String] = ["Content-Type: application/json"], headers: [String] = [],
    ) async throws -> TestReply {
        let connection = try await TestConnection(port: port)
        var text = "\(method) \(path) HTTP/1.1\r\nHost: test\r\nConnection: close\r\n"
        text += headers.map { "\($0)\r\n" }.joined()
        if let body { text += (fields + ["Content-Length: \(body.utf8.count)"]).map { "\($0)\r\n" }.joined() }
        try await connection.send(text + "\r\n" + (body ?? ""))
        return try await connection.reply()
    }

    /// The reply to a POST of JSON.
    func post(_ path: String, _ body: String) async throws -> TestReply { try await send("POST", path, body) }

    /// Waits until the engine has nothing to do and keeps nothing; fails after `seconds`.
    func settle(seconds: Double = 15) async throws {
        let start = ContinuousClock.now
        while true {
            let now = engine.statistics()
            if now.runningRequests == 0, now.waitingRequests == 0, now.referencedImages == 0 { return }
            guard ContinuousClock.now - start < .seconds(seconds) else { break }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("the engine still has requests")
    }
}

/// A prompt that is answered for a while.
let longRequest = #"{"inputs":"Hello","parameters":{"max_new_tokens":900,"ignore_eos":true}}"#
/// A prompt that is answered at once.
let shortRequest = #"{"inputs":"Hello","parameters":{"max_new_tokens":2,"ignore_eos":true}}"#
