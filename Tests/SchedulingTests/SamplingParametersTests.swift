import Testing

@testable import Scheduling

/// Limits of sampling parameters.
struct SamplingParametersTests {
    @Test func `values out of range name their parameter`() {
        func refused(_ make: () throws -> SamplingParameters) -> String? {
            do {
                _ = try make()
                return nil
            } catch let error as SamplingError {
                return error.parameter
            } catch {
                return "another error"
            }
        }
        for temperature in [-1, Double.nan, .infinity, 101] {
            #expect(refused { try .init(temperature: temperature, maxNewTokens: 1) } == "temperature")
        }
        for topP in [0, -1, 1.0000001, Double.nan] {
            #expect(refused { try .init(topP: topP, maxNewTokens: 1) } == "top_p")
        }
        for topK in [-2, 1 << 31, Int.max] {
            #expect(refused { try .init(topK: topK, maxNewTokens: 1) } == "top_k")
        }
        for count in [0, -1, Int.min] { #expect(refused { try .init(maxNewTokens: count) } == "max_new_tokens") }
        #expect(refused { try .init(maxNewTokens: 4, minNewTokens: 5) } == "min_new_tokens")
        #expect(refused { try .init(maxNewTokens: 4, topLogprobCount: 21) } == "top_logprobs")
        #expect(refused { try .init(maxNewTokens: Int.max) } == nil)
    }

    @Test func `a tiny temperature and a single candidate are greedy`() throws {
        #expect(try SamplingParameters(temperature: 1e-6, maxNewTokens: 1).temperature == 0)
        #expect(try SamplingParameters(temperature: 1, topK: 1, maxNewTokens: 1).temperature == 0)
        #expect(try SamplingParameters(temperature: 1, topK: -1, maxNewTokens: 1).topK == 0)
    }

    @Test func `an answer is cut to what fits`() throws {
        let cut = try SamplingParameters(maxNewTokens: 100, minNewTokens: 50).limited(toNewTokens: 10)
        #expect(cut.maxNewTokens == 10 && cut.minNewTokens == 10)
    }
}
