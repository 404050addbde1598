import CPUBackend
import Images
import Models
import Nodes
import Prompts
import Scheduling
import Synchronization
import Tensors
import TestSupport
import Testing
import Tokenizers

@testable import Engine

/// One model over two nodes, both in this process, over loopback.
struct NodeEngineTests {
    private static let name = "internvl-qwen3-hf"

    /// Node 0's engine, and node 1 on a thread.
    private struct TwoNodes {
        let engine: Engine
        let follower: Follower

        /// `alter` may alter the model of a rank.
        init(
            _ name: String = NodeEngineTests.name, ranks count: Int = 2, towers: Int = 1,
            _ alter: @escaping @Sendable (Int, ModelRank) -> ModelRank = { $1 },
        ) throws {
            let meeting = NodeMeeting(
                terms: NodeEngineTests.terms(count, towers), host: "127.0.0.1",
                port: try Listener(host: "127.0.0.1", port: 0).port, seconds: 20)
            let follower = Follower()
            follower.start {
                let link = try meeting.join(as: 1)
                follower.link.withLock { $0 = link }
                let ranks = try NodeEngineTests.ranks(name, count, towers, node: 1, [link]).map {
                    alter($0.collective?.rank ?? 0, $0)
                }
                try NodeFollower(link, ranks: ranks, towerCount: towers, elementType: .f32).run()
            }
            self.follower = follower
            let links = try meeting.gather()
            let ranks = try NodeEngineTests.ranks(name, count, towers, node: 0, links).map {
                alter($0.collective?.rank ?? 0, $0)
            }
            var configuration = EngineConfiguration(elementType: .f32)
            configuration.cachedTokens = 8192
            configuration.imageCacheBytes = 16 << 20
            configuration.tokensPerStep = 96
            engine = try Engine(
                ranks: ranks, towerCount: towers, links: links, configuration: configuration,
                vocabularyCount: TestModel(name).prompts.tokenizer.vocabularyCount)
        }
    }

    /// The thread of a node, and how it ended.
    private final class Follower: Sendable {
        let link = Mutex<NodeLink?>(nil)
        private let outcome = Mutex<Result<Void, any Error>?>(nil)

        func start(_ body: @escaping @Sendable () throws -> Void) {
            _ = HelperThread { [self] in
                let result = Result { try body() }
                outcome.withLock { $0 = result }
            }
        }

        /// Waits for its end.
        func end() async throws -> Result<Void, any Error> {
            for _ in 0..<1000 {
                if let result = outcome.withLock(\.self) { return result }
                try await Task.sleep(for: .milliseconds(10))
            }
            throw NodeError("the node does not end")
        }
    }

    private static func terms(_ count: Int, _ towers: Int, model: UInt8 = 0) -> NodeTerms {
        NodeTerms(
            nodeCount: 2, rankCount: count, towerCount: towers, elementType: .f32,
            model: [UInt8](repeating: model, count: 32), program: "test")
    }

    private static func ranks(
        _ name: String, _ count: Int, _ towers: Int, node: Int, _ links: [NodeLink],
    ) throws -> [ModelRank] {
        let folder = Fixtures.folder(name), description = try ModelFamilies.describe(folder)
        let places = try #require(
            NodeCollective.ranks(
                count, inGroupsOf: count / towers, node: node, of: 2, connections: links.map(\.exchange)))
        return try places.map { place in
            let device = CPUDevice(threadCount: 1, exact: true)
            let model = try ModelFamilies.load(
                folder: folder, description: description, device: device, elementType: .f32,
                towers: TowerCollectives(text: place.all, vision: count > towers ? place.group : nil))
            return ModelRank(model: model, device: device, collective: place.all)
        }
    }

    /// Models, ranks and towers that two nodes can have.
    private static let divisions: [(String, Int, Int)] =
        (["internvl-qwen3-hf", "internvl-qwen2-hf", "idefics3"] + QwenGoldenFile.models).flatMap { name in
            [(name, 2, 1), (name, 2, 2), (name, 4, 1), (name, 4, 2), (name, 4, 4)]
        }.filter { name, count, _ in
            guard let description = try? ModelFamilies.describe(Fixtures.folder(name)) else { return false }
            return description.text.obstacle(toRanks: count) == nil
        }

    @Test(arguments: divisions)
    func `two nodes give the reference's tokens, and end together`(
        name: String, count: Int, towers: Int,
    ) async throws {
        let model = try TestModel(name), nodes = try TwoNodes(name, ranks: count, towers: towers)
        if QwenGoldenFile.models.contains(name) {
            try await Answer.expectTokens(
                of: QwenGoldenFile.of(name).cases.prefix(3).map(\.self), model, nodes.engine)
        } else if LlavaGoldenFile.splitting.contains(name) {
            try await Answer.expectTokens(
                of: LlavaGoldenFile.of(name).cases.suffix(3).map(\.self), model, nodes.engine)
        } else {
            try await Answer.expectTokens(
                of: GoldenFile.of(name).cases.filter { $0.tiling.thumbnail != false }.prefix(4).map(\.self),
                model,
                nodes.engine)
        }
        #expect(nodes.engine.failure == nil)
        await nodes.engine.shutDown(drainSeconds: 0)
        _ = try await nodes.follower.end().get()
    }

    @Test func `two and four ranks are among those tested`() {
        #expect(Set(Self.divisions.map(\.1)) == [2, 4])
    }

    @Test(arguments: [0, 1, 2, 3])
    func `a step that one rank has no memory for ends its requests and spoils no other`(
        rank: Int,
    ) async throws {
        let model = try TestModel(Self.name)
        let nodes = try TwoNodes(ranks: 4, towers: 4) { place, whole in
            guard place == rank else { return whole }
            return ModelRank(
                model: AlteredModel(whole.model, on: whole.device) { $0 == 5 || $0 == 9 ? .refused : .none },
                device: whole.device, collective: whole.collective)
        }
        let golden = GoldenFile.of(Self.name).cases[0]
        for _ in 0..<2 {
            await #expect(throws: GenerationError.self) {
                _ = try await Answer(of: golden, model, nodes.engine)
            }
        }
        try await Answer.expectTokens(
            of: GoldenFile.of(Self.name).cases.prefix(3).map(\.self), model, nodes.engine)
        #expect(nodes.engine.failure == nil)
        await nodes.engine.shutDown(drainSeconds: 0)
        _ = try await nodes.follower.end().get()
    }

    @Test func `a node that goes ends the requests and the engine for good`() async throws {
        let model = try TestModel(Self.name)
        let nodes = try TwoNodes { place, whole in
            guard place == 1 else { return whole }
            return ModelRank(
                model: AlteredModel(whole.model, on: whole.device) { _ in .delay(seconds: 0.05) },
                device: whole.device, collective: whole.collective)
        }
        let golden = GoldenFile.of(Self.name).cases[0]
        let answer = Task { try await Answer(of: golden, model, nodes.engine) }
        try await Task.sleep(for: .milliseconds(300))
        let start = ContinuousClock.now
        nodes.follower.link.withLock { $0?.close() }
        await #expect(throws: GenerationError.failed) { _ = try await answer.value }
        #expect(ContinuousClock.now - start < .seconds(2))
        #expect(nodes.engine.failure != nil && nodes.engine.isStalled(forSeconds: 1000))
        await #expect(throws: AdmissionError.deviceFailed) {
            _ = try await Answer(of: golden, model, nodes.engine)
        }
        await nodes.engine.shutDown(drainSeconds: 0)
        await #expect(throws: NodeError.self) { try await nodes.follower.end().get() }
    }

    @Test func `a node that goes while nothing runs fails the engine too`() async throws {
        let nodes = try TwoNodes()
        nodes.follower.link.withLock { $0?.close() }
        for _ in 0..<200 where nodes.engine.failure == nil { try await Task.sleep(for: .milliseconds(10)) }
        #expect(nodes.engine.failure == "node 1 is gone")
        await nodes.engine.shutDown(drainSeconds: 0)
    }

    // MARK: Who may come

    /// What came of node 0 and of node 1 that came with `other`, and what node 0 said.
    private func meet(_ other: NodeTerms, as node: Int = 1) async throws -> (joined: String, said: [String]) {
        let port = try Listener(host: "127.0.0.1", port: 0).port
        let joined = Mutex(""), said = Mutex<[String]>([])
        let follower = Follower()
        follower.start {
            do {
                try NodeMeeting(terms: other, host: "127.0.0.1", port: port, seconds: 5).join(as: node)
                    .close()
            } catch { joined.withLock { $0 = "\(error)" } }
        }
        let meeting = NodeMeeting(terms: Self.terms(2, 1), host: "127.0.0.1", port: port, seconds: 1)
        if let links = try? meeting.gather({ line in said.withLock { $0.append(line) } }) {
            for link in links { link.close() }
        }
        _ = try await follower.end()
        return (joined.withLock(\.self), said.withLock(\.self))
    }

    @Test func `a node that was started otherwise is refused, and both sides say why`() async throws {
        #expect(try await meet(Self.terms(2, 1)) == ("", []))
        for (terms, node, word) in [
            (Self.terms(4, 1), 1, "--tp 4"), (Self.terms(2, 2), 1, "--visual_dp 2"),
            (Self.terms(2, 1, model: 1), 1, "another checkpoint"), (Self.terms(2, 1), 2, "no node 2"),
        ] {
            let (joined, said) = try await meet(terms, as: node)
            #expect(joined.contains(word) && said == [joined])
        }
    }

    @Test func `strangers do no harm, and the node still gets in`() async throws {
        let port = try Listener(host: "127.0.0.1", port: 0).port
        let follower = Follower()
        follower.start {
            // Node 0 listens at some time.
            var strangers: [Connection] = []
            while strangers.isEmpty {
                if let one = try? Connection.open(host: "127.0.0.1", port: port, seconds: 1) {
                    strangers.append(one)
                }
            }
            let hello = NodeHello(purpose: .control, node: 1, terms: Self.terms(2, 1)).bytes
            let sayings: [[UInt8]] = [
                [], [1], [UInt8](repeating: 0xff, count: 4096), Array("GET / HTTP/1.1\r\n\r\n".utf8),
                Array(hello.dropLast()),
                // A connection for exchanges whose token nobody has given.
                NodeHello(purpose: .exchange, node: 1, terms: Self.terms(2, 1), token: 5).bytes,
                // A greeting and no more.
                hello,
            ]
            for bytes in sayings {
                let one = try Connection.open(host: "127.0.0.1", port: port, seconds: 1)
                try one.send(bytes)
                strangers.append(one)
            }
            try Connection.open(host: "127.0.0.1", port: port, seconds: 1).shutDown()
            let link = try NodeMeeting(terms: Self.terms(2, 1), host: "127.0.0.1", port: port, seconds: 5)
                .join(as: 1)
            withExtendedLifetime(strangers) {}
            link.close()
        }
        let links = try NodeMeeting(terms: Self.terms(2, 1), host: "127.0.0.1", port: port, seconds: 10)
            .gather()
        #expect(links.map(\.node) == [1])
        for link in links { link.close() }
        _ = try await follower.end().get()
    }
}
