import Engine
import Images
import Scheduling
import Tensors
import TestSupport
import Testing

/// Whole answers through the engine against the reference's greedy tokens.
struct GoldenEngineTests {
    private func cases(_ model: String) -> [GoldenCase] {
        GoldenFile.of(model).cases.filter { $0.tiling.thumbnail != false }
    }

    @Test(arguments: Fixtures.models)
    func `all conversations at once give the reference's tokens`(name: String) async throws {
        let model = try TestModel(name)
        let engine = try model.makeEngine { $0.tokensPerStep = 96 }
        try await Answer.expectTokens(of: cases(name), model, engine)
        await engine.shutDown(drainSeconds: 0)
        #expect(engine.statistics().usedPages == 0 && engine.statistics().referencedImages == 0)
    }

    @Test(arguments: Fixtures.models)
    func `a second turn finds its pictures and gives the same tokens`(name: String) async throws {
        let model = try TestModel(name)
        let engine = try model.makeEngine()
        for golden in cases(name) where !golden.images.isEmpty {
            let before = engine.statistics()
            let first = try await Answer(of: golden, model, engine)
            let between = engine.statistics()
            let second = try await Answer(of: golden, model, engine)
            let after = engine.statistics()
            #expect(first.tokens == golden.greedyIds && second.tokens == first.tokens, "\(golden.name)")
            #expect(second.found.imageCount == golden.images.count)
            #expect(after.tilesEncoded == between.tilesEncoded, "the tower ran again for \(golden.name)")
            #expect(after.imageCacheHits - between.imageCacheHits == golden.images.count)
            #expect(
                between.tilesEncoded > before.tilesEncoded || first.found.imageCount == golden.images.count)
        }
        await engine.shutDown(drainSeconds: 0)
    }

    @Test func `with few pages, small chunks and one cached picture the tokens stay the same`() async throws {
        let model = try TestModel("internvl-qwen2-opengvlab")
        let engine = try model.makeEngine { $0.cramp(cachedTokens: 384) }
        try await Answer.expectTokensOfCramped(cases("internvl-qwen2-opengvlab"), model, engine)
        await engine.shutDown(drainSeconds: 0)
    }

    @Test(arguments: ["internvl-qwen2-hf", "internvl-llama-opengvlab"])
    func `in bf16 the tokens are the reference's, or near ties of it`(name: String) async throws {
        let model = try TestModel(name, elementType: .bf16)
        let engine = try model.makeEngine()
        for golden in cases(name) {
            let answer = try await Answer(of: golden, model, engine, topLogprobCount: 5)
            // Up to the first difference; there each side's token is among the other's five likeliest.
            guard
                let place = zip(answer.tokens, golden.greedyIds).enumerated().first(where: { $1.0 != $1.1 })?
                    .offset
            else { continue }
            #expect(golden.steps[place].topIds.contains(answer.tokens[place]), "\(golden.name) at \(place)")
            #expect(answer.top[place].contains(golden.greedyIds[place]), "\(golden.name) at \(place)")
        }
        await engine.shutDown(drainSeconds: 0)
    }
}
