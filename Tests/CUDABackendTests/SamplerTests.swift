import CUDAStandIn
import Foundation
import Tensors
import Testing

@testable import CUDABackend

extension CUDATests {
    @Suite struct SamplerTests {
        // SamplingRule of sampling.cu, 104 bytes; all behind `uniform` are 4 bytes.
        private static let fields = [
            "uniform", "uniform's end", "temperature", "top_p", "min_p", "repetition", "frequency",
            "presence", "raise",
            "top_k", "vocabulary", "top_count", "given", "wants_rank", "counted", "counts", "counted_count",
            "raised",
            "raised_count", "biased", "biases", "biased_count", "allowed", "allowed_count", "banned",
            "banned_count",
        ]

        /// Words by field of the rule that `row` became, and the lists.
        private func packed(_ rows: [SamplingRow], capacity: Int) throws -> (
            rules: [[String: UInt32]], lists: [Int32]
        ) {
            let device = try StandIn.device()
            let sampler = try device.makeSampler(capacity: capacity, vocabularyCount: 1000)
            sampler.set(rows)
            let logits = try device.makeTensor([rows.count, 1000], .f32)
            let launch = try #require(try device.launches { try sampler.choose(logits) }.last)
            let padded = min(capacity, device.paddedCount(rows.count))
            let all = try device.bytes(at: launch.parameters[5], count: 104 * padded)
            func word(_ bytes: [UInt8], _ place: Int) -> UInt32 {
                (0..<4).reduce(0) { $0 | UInt32(bytes[4 * place + $1]) << UInt32(8 * $1) }
            }
            let rules = (0..<padded).map { rule in
                Dictionary(
                    uniqueKeysWithValues: Self.fields.enumerated().map { ($1, word(all, 26 * rule + $0)) })
            }
            let lists = try device.bytes(at: launch.parameters[6], count: 4 * 64)
            return (rules, (0..<64).map { Int32(bitPattern: word(lists, $0)) })
        }

        @Test func `the fields are those of the kernel's struct, in its order`() throws {
            let text = try KernelCompiler.text(of: "sampling")
            let body = try #require(
                text.components(separatedBy: "struct SamplingRule {\n").last?.components(separatedBy: "};")
                    .first)
            let names = body.split(whereSeparator: { " ,;\n".contains($0) }).map(String.init)
                .filter { !["double", "float", "int"].contains($0) }
            #expect(names == Self.fields.filter { $0 != "uniform's end" })
            #expect(text.contains("static_assert(sizeof(SamplingRule) == 104,"))
            #expect(text.contains("static_assert(sizeof(SampledRow) == 176,"))
        }

        @Test func `a rule with everything in it lies where the kernel looks`() throws {
            var changes = LogitChanges()
            changes.counted = TokenCounts(ids: [11, 12], counts: [3, 4])
            (changes.repetition, changes.frequency, changes.presence, changes.raise) = (1.25, 0.5, 0.75, 2)
            changes.raisedIDs = [21]
            (changes.biasedIDs, changes.biases) = ([31, 32, 33], [1.5, -2, 0.25])
            changes.allowedIDs = [41, 42]
            let full = SamplingRow(
                temperature: 0.5, topK: 40, topP: 0.875, minP: 0.125, uniform: 0.3, changes: changes,
                bannedIDs: [51, 52, 53, 54], vocabularyCount: 990, topLogprobCount: 30, givenID: 7)
            let (rules, lists) = try packed([SamplingRow(vocabularyCount: 1000), full], capacity: 8)
            let rule = rules[1]
            func float(_ name: String) -> Float? { rule[name].map { Float(bitPattern: $0) } }
            let bits = Double(0.3).bitPattern
            #expect(
                rule["uniform"] == UInt32(truncatingIfNeeded: bits)
                    && rule["uniform's end"] == UInt32(bits >> 32))
            let floats = ["temperature", "top_p", "min_p", "repetition", "frequency", "presence", "raise"]
                .map(float)
            #expect(floats == [0.5, 0.875, 0.125, 1.25, 0.5, 0.75, 2])
            #expect(rule["top_k"] == 40 && rule["vocabulary"] == 990 && rule["top_count"] == 20)
            #expect(rule["given"] == 7 && rule["wants_rank"] == 1)
            func list(_ place: String, _ count: String) throws -> [Int32] {
                let start = Int(try #require(rule[place])), count = Int(try #require(rule[count]))
                return Array(lists[start..<(start + count)])
            }
            #expect(try list("counted", "counted_count") == [11, 12])
            #expect(try list("counts", "counted_count") == [3, 4])
            #expect(try list("raised", "raised_count") == [21])
            #expect(try list("biased", "biased_count") == [31, 32, 33])
            let biases = try list("biases", "biased_count").map { Float(bitPattern: UInt32(bitPattern: $0)) }
            #expect(biases == [1.5, -2, 0.25])
            #expect(try list("allowed", "allowed_count") == [41, 42])
            #expect(try list("banned", "banned_count") == [51, 52, 53, 54])
        }

        @Test func `a plain rule asks for nothing more, and unused places are empty`() throws {
            let rows = [0, 1, 2].map {
                SamplingRow(temperature: Float($0) / 2, topK: -5, vocabularyCount: 1000)
            }
            let rules = try packed(rows, capacity: 8).rules
            #expect(rules.count == 4)
            let none = UInt32.max
            #expect(rules[0]["wants_rank"] == 0 && rules[1]["wants_rank"] == 1 && rules[0]["top_k"] == 0)
            #expect(rules[0]["given"] == none && rules[0]["allowed_count"] == none)
            for count in ["counted_count", "raised_count", "biased_count", "banned_count", "top_count"] {
                #expect(rules[0][count] == 0)
            }
            #expect(rules[3].values.allSatisfy { $0 == 0 })
            // An empty list of allowed ids allows none; no list allows all.
            var changes = LogitChanges()
            changes.allowedIDs = []
            let closed = SamplingRow(changes: changes, vocabularyCount: 1000)
            #expect(try packed([closed], capacity: 1).rules[0]["allowed_count"] == 0)
        }

        @Test func `the launch has a block a chunk and the sizes the kernel reckons with`() throws {
            let device = try StandIn.device()
            let sampler = try device.makeSampler(capacity: 6, vocabularyCount: 151_674)
            sampler.set([SamplingRow](repeating: SamplingRow(vocabularyCount: 151_674), count: 3))
            let logits = try device.makeTensor([3, 151_674], .f32)
            let launch = try #require(try device.launches { try sampler.choose(logits) }.first)
            #expect(launch.name == "sample_rows" && launch.grid == [3 * 19, 1, 1] && launch.block == 256)
            #expect(launch.parameters.count == 10 && launch.parameters[0] == UInt64(logits.address))
            // Rows, capacity, columns, blocks that run at once: three a processor, as the driver says.
            #expect(
                launch.parameters[1...4].map { Int(UInt32(truncatingIfNeeded: $0)) } == [3, 6, 151_674, 396])
            #expect(
                launch.parameters[9] == UInt64(sampler.tokens.address) && sampler.tokens.elementCount == 6)
        }

        @Test func `results are read as the kernel leaves them`() throws {
            let device = try StandIn.device()
            let sampler = try device.makeSampler(capacity: 4, vocabularyCount: 100)
            sampler.set(
                [SamplingRow](repeating: SamplingRow(vocabularyCount: 100, topLogprobCount: 2), count: 3))
            let launch = try #require(
                try device.launches { try sampler.choose(device.makeTensor([3, 100], .f32)) }.last)
            // SampledRow of sampling.cu: id, log-probability, rank, how many of the likeliest, 20 pairs.
            func row(_ id: Int32, _ logprob: Float, _ rank: Int32, _ count: Int32, _ top: [(Int32, Float)])
                -> [Int32]
            {
                let pairs = top.flatMap { [$0.0, Int32(bitPattern: $0.1.bitPattern)] }
                let words = [id, Int32(bitPattern: logprob.bitPattern), rank, count] + pairs
                return words + [Int32](repeating: 77, count: 44 - words.count)
            }
            let words =
                row(5, -0.5, 3, 2, [(9, -0.25), (5, -0.5)]) + row(-1, 0, 0, -4, []) + row(8, -2, 1, 99, [])
            let results = Storage(address: UInt(launch.parameters[8]), byteCount: 4 * 176) { _ in }
            device.write(words, to: Tensor(results, shape: [words.count], elementType: .i32))
            sampler.send()
            let tokens = try sampler.result()
            #expect(tokens.count == 3)
            #expect(
                tokens[0]
                    == SampledToken(
                        id: 5, logprob: -0.5, rank: 3,
                        top: [.init(id: 9, logprob: -0.25), .init(id: 5, logprob: -0.5)]))
            #expect(tokens[1] == SampledToken(id: -1, logprob: 0, rank: 1, top: []))
            #expect(tokens[2].id == 8 && tokens[2].top.count == 20)
        }

        @Test func `lists longer than their place get a larger one`() throws {
            let device = try StandIn.device()
            let sampler = try device.makeSampler(capacity: 1, vocabularyCount: 200_000)
            let banned = (0..<100_000).map { Int32($0) }
            sampler.set([SamplingRow(bannedIDs: banned, vocabularyCount: 200_000)])
            let launch = try #require(
                try device.launches { try sampler.choose(device.makeTensor([1, 200_000], .f32)) }.last)
            #expect(try device.bytes(at: launch.parameters[6], count: 400_000) == bytes(banned))
            sampler.set([SamplingRow(vocabularyCount: 200_000)])
            try device.wait()
            StandIn.fail("allocate", 2)
            sampler.set([SamplingRow(bannedIDs: (0..<250_000).map { Int32($0) }, vocabularyCount: 200_000)])
            #expect(throws: DeviceError.self) { try device.wait() }
        }

        @Test func `a vocabulary beyond the kernel's is refused`() throws {
            let device = try StandIn.device()
            #expect(
                refusal { _ = try device.makeSampler(capacity: 1, vocabularyCount: 262_145) }
                    == "a vocabulary of 262145 is not supported on a GPU: at most 262144")
            _ = try device.makeSampler(capacity: 1, vocabularyCount: 262_144)
        }
    }
}
