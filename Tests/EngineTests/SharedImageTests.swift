import CPUBackend
import Images
import Models
import Prompts
import Scheduling
import Synchronization
import Tensors
import TestRandom
import TestSupport
import Testing
import Tokenizers

@testable import Engine

/// Embeddings that engines share through a store.
struct SharedImageTests {
    /// A store in memory, which may lie.
    final class MemoryStore: EmbeddingStore {
        /// What it does with what it is asked for.
        enum Mood: CaseIterable {
            case honest, empty, cut, long, damaged, another, noise
        }

        let values = Mutex<[[UInt8]: [UInt8]]>([:])
        let mood: Mood

        init(_ mood: Mood = .honest) { self.mood = mood }

        func value(of key: [UInt8], byteCount: Int) -> [UInt8]? {
            var value = values.withLock { $0[key] } ?? []
            switch mood {
            case .honest: return value.isEmpty ? nil : value
            case .empty: return []
            case .cut: return value.dropLast(4)
            case .long: return value + [0]
            case .damaged:
                if !value.isEmpty { value[value.count / 2] ^= 64 }
                return value
            case .another: return values.withLock { $0.first { $0.key != key }?.value }
            case .noise: return (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            }
        }

        func keep(_ value: [UInt8], under key: [UInt8]) -> Bool {
            guard mood != .empty else { return false }
            values.withLock { $0[key] = value }
            return true
        }

        var health: EmbeddingStoreHealth { EmbeddingStoreHealth() }
        func close() {}
    }

    /// The golden cases of an InternVL fixture that are cut as its configuration says.
    private func cases(_ name: String) -> [GoldenCase] {
        GoldenFile.of(name).cases.filter { $0.tiling.thumbnail != false }
    }

    /// Waits until everything given has been left or dropped.
    private func settle(_ engine: Engine) async throws -> SharedImageStatistics {
        for _ in 0..<500 {
            let now = engine.statistics(), shared = try #require(now.sharedImages)
            if shared.puts + shared.droppedPuts == now.imagesEncoded { return shared }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("embeddings still wait")
        return SharedImageStatistics()
    }

    @Test(arguments: ["internvl-qwen2-hf", "qwen2-vl", "qwen3-vl"])
    func `a second engine needs no tower and gives the same tokens`(name: String) async throws {
        let model = try TestModel(name), store = MemoryStore()
        func ask(_ change: (inout EngineConfiguration) -> Void = { _ in }) async throws -> EngineStatistics {
            let engine = try model.makeEngine {
                $0.embeddingStore = store
                change(&$0)
            }
            if name.hasPrefix("internvl") {
                try await Answer.expectTokens(of: cases(name), model, engine)
            } else {
                try await Answer.expectTokens(of: QwenGoldenFile.of(name).cases, model, engine)
            }
            _ = try await settle(engine)
            await engine.shutDown(drainSeconds: 0)
            return engine.statistics()
        }
        let first = try await ask { $0.tilesPerStep = 2 }
        let given = try #require(first.sharedImages)
        #expect(first.imagesEncoded > 1 && given.puts == first.imagesEncoded && given.hits == 0)
        #expect(given.misses == first.imagesEncoded && given.unsound == 0 && given.droppedPuts == 0)
        let second = try await ask()
        #expect(second.imagesEncoded == 0 && second.tilesEncoded == 0)
        #expect(second.sharedImages?.hits == first.imagesEncoded && second.sharedImages?.misses == 0)
        #expect(second.sharedImages?.puts == 0)
    }

    @Test func `ranks are given what was found, and leave the same`() async throws {
        let name = "internvl-qwen2-hf", model = try TestModel(name), store = MemoryStore()
        let description = try ModelFamilies.describe(Fixtures.folder(name))
        func divided() throws -> Engine {
            let ranks = try ThreadCollective.ranks(2, inGroupsOf: 1).map { place in
                let device = CPUDevice(threadCount: 1, exact: true)
                let model = try ModelFamilies.load(
                    folder: Fixtures.folder(name), description: description, device: device,
                    elementType: .f32,
                    towers: TowerCollectives(text: place.all, vision: nil))
                return ModelRank(model: model, device: device, collective: place.all)
            }
            var configuration = EngineConfiguration(elementType: .f32)
            configuration.cachedTokens = 8192
            configuration.imageCacheBytes = 16 << 20
            configuration.embeddingStore = store
            return try Engine(
                ranks: ranks, towerCount: 2, configuration: configuration,
                vocabularyCount: model.prompts.tokenizer.vocabularyCount)
        }
        for isFirst in [true, false] {
            let engine = try divided()
            try await Answer.expectTokens(
                of: cases(name), model, engine)
            _ = try await settle(engine)
            #expect((engine.statistics().imagesEncoded > 0) == isFirst)
            await engine.shutDown(drainSeconds: 0)
        }
    }

    @Test(arguments: MemoryStore.Mood.allCases.filter { $0 != .honest })
    func `a store that fails or lies changes no token`(mood: MemoryStore.Mood) async throws {
        let name = "internvl-qwen2-hf", model = try TestModel(name), store = MemoryStore(mood)
        for _ in 0..<2 {
            let engine = try model.makeEngine { $0.embeddingStore = store }
            try await Answer.expectTokens(of: cases(name), model, engine)
            let shared = try await settle(engine)
            #expect(shared.hits == 0 && shared.misses == engine.statistics().imagesEncoded)
            #expect((shared.puts > 0) == (mood != .empty) && (shared.droppedPuts > 0) == (mood == .empty))
            await engine.shutDown(drainSeconds: 0)
        }
    }

    @Test func `an entry is its rows or nothing: every byte and every length counts`() {
        let key = ImageKey(digest: Array(0..<32))
        let entry = SharedEntry(key: key, rowCount: 3, columnCount: 2, planeCount: 2)
        let rows = [Float](arrayLiteral: 1, -2, 0, 4.5, -0.0, 1e-30).flatMap { number in
            (0..<4).map { UInt8(truncatingIfNeeded: number.bitPattern >> (8 * UInt32($0))) }
        }
        let value = entry.value(of: rows)
        #expect(value.count == entry.byteCount && entry.rows(of: value).map(Array.init) == rows)
        for place in value.indices {
            for bit in 0..<8 {
                var flipped = value
                flipped[place] ^= 1 << UInt8(bit)
                #expect(entry.rows(of: flipped) == nil, "byte \(place)")
            }
            #expect(entry.rows(of: Array(value[..<place])) == nil)
            #expect(entry.rows(of: Array(value[(place + 1)...])) == nil)
        }
        #expect(entry.rows(of: value + [0]) == nil && entry.rows(of: []) == nil)
        let others = [
            SharedEntry(key: key, rowCount: 2, columnCount: 3, planeCount: 2),
            SharedEntry(key: key, rowCount: 3, columnCount: 2, planeCount: 1),
            SharedEntry(key: ImageKey(digest: Array(1..<33)), rowCount: 3, columnCount: 2, planeCount: 2),
        ]
        for other in others { #expect(other.byteCount == value.count && other.rows(of: value) == nil) }
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity])
    func `an entry with a number that is not finite is none`(number: Float) {
        let entry = SharedEntry(
            key: ImageKey(digest: Array(repeating: 7, count: 32)), rowCount: 1, columnCount: 1, planeCount: 1)
        let rows = (0..<4).map { UInt8(truncatingIfNeeded: number.bitPattern >> (8 * UInt32($0))) }
        #expect(entry.rows(of: entry.value(of: rows)) == nil)
    }

    @Test func `a checksum sees words that change places`() {
        var random = SeededRandom(seed: 1)
        let bytes = (0..<67).map { _ in UInt8(random.below(256)) }
        var swapped = bytes
        for offset in 0..<8 { swapped.swapAt(offset, 8 + offset) }
        #expect(SharedEntry.checksum(bytes[...]) != SharedEntry.checksum(swapped[...]))
        #expect(SharedEntry.checksum([0]) != SharedEntry.checksum([0, 0]))
    }

    @Test func `what is given beyond the bound is dropped and counted`() {
        let shared = SharedImages(store: MemoryStore(), columnCount: 4, planeCount: 1, mostWaitingBytes: 64)
        let key = ImageKey(digest: Array(repeating: 1, count: 32))
        // One is always taken, however large.
        #expect(shared.mayGive(rowCount: 100))
        shared.give(key, rowCount: 2, Array(repeating: 0, count: 32))
        #expect(shared.mayGive(rowCount: 2))
        shared.give(key, rowCount: 2, Array(repeating: 0, count: 32))
        #expect(!shared.mayGive(rowCount: 1) && shared.statistics.droppedPuts == 1)
    }
}
