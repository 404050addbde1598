import CPUBackend
import Engine
import Images
import Models
import Prompts
import Scheduling
import Tensors
import TestSupport
import Testing
import Tokenizers

/// Models divided over ranks on the processor, against the reference's tokens.
struct RankTests {
    /// The ranks of a fixture, with `towers` vision towers among them.
    private func ranks(
        _ name: String, _ count: Int, towers: Int, textFormat: WeightFormat? = nil,
    ) throws -> [ModelRank] {
        let folder = Fixtures.folder(name), description = try ModelFamilies.describe(folder)
        return try ThreadCollective.ranks(count, inGroupsOf: count / towers).map { place in
            let device = CPUDevice(threadCount: 1, exact: true)
            let model = try ModelFamilies.load(
                folder: folder, description: description, device: device, elementType: .f32,
                textFormat: textFormat,
                towers: TowerCollectives(text: place.all, vision: count > towers ? place.group : nil))
            return ModelRank(model: model, device: device, collective: place.all)
        }
    }

    private func engine(
        _ name: String, _ count: Int, towers: Int, textFormat: WeightFormat? = nil,
        _ change: (inout EngineConfiguration) -> Void = { _ in },
    ) throws -> Engine {
        var configuration = EngineConfiguration(elementType: .f32)
        configuration.cachedTokens = 8192
        configuration.imageCacheBytes = 16 << 20
        change(&configuration)
        return try Engine(
            ranks: ranks(name, count, towers: towers, textFormat: textFormat), towerCount: towers,
            configuration: configuration,
            vocabularyCount: TestModel(name).prompts.tokenizer.vocabularyCount)
    }

    /// Numbers of ranks and of towers that the fixture can be divided over.
    private func divisions(_ name: String) throws -> [(ranks: Int, towers: Int)] {
        let description = try ModelFamilies.describe(Fixtures.folder(name))
        return [2, 3, 4].flatMap { count in (1...count).map { (count, $0) } }.filter { count, towers in
            count.isMultiple(of: towers) && description.text.obstacle(toRanks: count) == nil
        }
    }

    @Test(arguments: Fixtures.models)
    func `InternVL over ranks gives the reference's tokens`(name: String) async throws {
        let model = try TestModel(name)
        for (count, towers) in try divisions(name) {
            let engine = try engine(name, count, towers: towers) { $0.tokensPerStep = 96 }
            try await Answer.expectTokens(
                of: GoldenFile.of(name).cases.filter { $0.tiling.thumbnail != false }, model, engine,
                "\(count) ranks, \(towers) towers:")
            #expect(engine.failure == nil)
            await engine.shutDown(drainSeconds: 0)
        }
    }

    @Test func `int8 weights over ranks give tokens that the reference finds likely`() async throws {
        var mixtures = 0
        for name in QwenGoldenFile.models {
            guard let (count, towers) = try divisions(name).first else { continue }
            let model = try TestModel(name)
            let engine = try engine(name, count, towers: towers, textFormat: .int8)
            for golden in try QwenGoldenFile.of(name).cases {
                let answer = try await Answer(of: golden, model, engine, topLogprobCount: 5)
                #expect(answer.tokens.count == golden.greedyIds.count && answer.finish == .length)
                #expect(answer.top.first?.contains(golden.greedyIds[0]) == true, "\(name), \(golden.name)")
            }
            #expect(engine.failure == nil)
            await engine.shutDown(drainSeconds: 0)
            mixtures += model.model.description.text.experts == nil ? 0 : 1
        }
        #expect(mixtures > 0)
    }

    @Test(arguments: QwenGoldenFile.models)
    func `Qwen-VL over ranks gives the reference's tokens`(name: String) async throws {
        let model = try TestModel(name)
        for (count, towers) in try divisions(name) {
            let engine = try engine(name, count, towers: towers)
            try await Answer.expectTokens(
                of: QwenGoldenFile.of(name).cases, model, engine, "\(count) ranks, \(towers) towers:")
            await engine.shutDown(drainSeconds: 0)
        }
    }

    @Test(arguments: LlavaGoldenFile.models)
    func `LLaVA over ranks gives the reference's tokens`(name: String) async throws {
        let model = try TestModel(name)
        for (count, towers) in try divisions(name) {
            let engine = try engine(name, count, towers: towers)
            try await Answer.expectTokens(
                of: LlavaGoldenFile.of(name).cases, model, engine, "\(count) ranks, \(towers) towers:")
            await engine.shutDown(drainSeconds: 0)
        }
    }

    @Test(arguments: LlavaGoldenFile.splitting)
    func `SmolVLM and Idefics3 over ranks give the reference's tokens`(name: String) async throws {
        let model = try TestModel(name)
        for (count, towers) in try divisions(name) {
            let engine = try engine(name, count, towers: towers) { $0.tokensPerStep = 96 }
            try await Answer.expectTokens(
                of: LlavaGoldenFile.of(name).cases, model, engine, "\(count) ranks, \(towers) towers:")
            await engine.shutDown(drainSeconds: 0)
        }
    }

    @Test func `the first Qwen-VL over ranks gives the reference's tokens`() async throws {
        let name = "qwen-vl", model = try TestModel(name)
        for (count, towers) in try divisions(name) {
            let engine = try engine(name, count, towers: towers)
            try await Answer.expectTokens(
                of: LlavaGoldenFile.of(name).cases, model, engine, "\(count) ranks, \(towers) towers:")
            await engine.shutDown(drainSeconds: 0)
        }
    }

    @Test(arguments: Gemma3EngineTests.models)
    func `Gemma 3 over ranks gives the reference's tokens`(name: String) async throws {
        let model = try TestModel(name)
        for (count, towers) in try divisions(name) where towers == 1 || name != "gemma3-text" {
            let engine = try engine(name, count, towers: towers)
            try await Answer.expectTokens(
                of: LlavaGoldenFile.of(name).cases, model, engine, "\(count) ranks, \(towers) towers:")
            await engine.shutDown(drainSeconds: 0)
        }
    }

    @Test func `every division that the deployment guide names is among those tested`() throws {
        var tested: Set<[Int]> = []
        for name in Fixtures.models + QwenGoldenFile.models {
            for (count, towers) in try divisions(name) { tested.insert([count, towers]) }
        }
        // Ranks and towers: (dp, tp) is (1, 2), (2, 1), (2, 2) and (4, 1).
        for wanted in [[2, 1], [2, 2], [4, 2], [4, 4]] { #expect(tested.contains(wanted), "\(wanted)") }
    }

    @Test(arguments: [0, 1])
    func `a step that one rank has no memory for ends its requests and spoils no other`(
        rank: Int,
    ) async throws {
        let name = "internvl-qwen3-hf", model = try TestModel(name)
        var ranks = try ranks(name, 2, towers: 1)
        let whole = ranks[rank]
        ranks[rank] = ModelRank(
            model: AlteredModel(whole.model, on: whole.device) { $0 == 5 ? .refused : .none },
            device: whole.device, collective: whole.collective)
        let engine = try Engine(
            ranks: ranks, towerCount: 1, configuration: EngineConfiguration(elementType: .f32),
            vocabularyCount: model.prompts.tokenizer.vocabularyCount)
        let golden = GoldenFile.of(name).cases[0]
        await #expect(throws: GenerationError.self) { _ = try await Answer(of: golden, model, engine) }
        try await Answer.expectTokens(of: GoldenFile.of(name).cases, model, engine)
        #expect(engine.failure == nil)
        await engine.shutDown(drainSeconds: 0)
    }

    @Test func `a rank that leaves ends the requests, and nobody waits for it`() async throws {
        let name = "internvl-qwen3-hf", model = try TestModel(name)
        let ranks = try ranks(name, 2, towers: 1)
        let engine = try Engine(
            ranks: ranks, towerCount: 1, configuration: EngineConfiguration(elementType: .f32),
            vocabularyCount: model.prompts.tokenizer.vocabularyCount)
        let golden = GoldenFile.of(name).cases[0]
        #expect(try await Answer(of: golden, model, engine).tokens == golden.greedyIds)
        ranks[1].collective?.abandon()
        await #expect(throws: GenerationError.self) { _ = try await Answer(of: golden, model, engine) }
        #expect(engine.failure == "another rank has failed" && engine.isStalled(forSeconds: 1000))
        await engine.shutDown(drainSeconds: 0)
    }
}
