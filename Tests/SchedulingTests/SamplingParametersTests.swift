import Testing

@testable import Scheduling

/// Limits of sampling parameters.
struct SamplingParametersTests {
    private func refused<Value>(_ make: () throws -> Value) -> String? {
        do {
            _ = try make()
            return nil
        } catch let error as SamplingError {
            return error.parameter
        } catch {
            return "another error"
        }
    }

    private func penalties(_ set: (inout SamplingPenalties) -> Void) throws -> SamplingParameters {
        var penalties = SamplingPenalties()
        set(&penalties)
        return try SamplingParameters(maxNewTokens: 1, penalties: penalties)
    }

    @Test func `penalties have bounds`() {
        for value in [0, -1, 101, 1e308, Double.nan, .infinity] {
            let found = refused { try penalties { $0.repetition = value } }
            #expect(found == "repetition_penalty")
        }
        for value in [-2.5, 101, -1e308, Double.nan, -Double.infinity] {
            let presence = refused { try penalties { $0.presence = value } }
            let frequency = refused { try penalties { $0.frequency = value } }
            #expect(presence == "presence_penalty" && frequency == "frequency_penalty")
        }
        for factor in [0.9, Double.nan, Double.infinity] {
            let found = refused { try penalties { $0.lengthDecay = LengthDecay(start: 1, factor: factor) } }
            #expect(found == "exponential_decay_length_penalty")
        }
        let early = refused { try penalties { $0.lengthDecay = LengthDecay(start: -1, factor: 2) } }
        #expect(early == "exponential_decay_length_penalty")
        let fine = refused { try penalties { ($0.repetition, $0.presence, $0.frequency) = (1.5, -2, 2) } }
        #expect(fine == nil)
    }

    @Test func `token rules have bounds`() throws {
        #expect(refused { try TokenRules(allowedIDs: Array(0..<257)) } == "allowed_token_ids")
        #expect(refused { try TokenRules(allowedIDs: [-1]) } == "allowed_token_ids")
        #expect(refused { try TokenRules(biases: [1 << 31: 1]) } == "logit_bias")
        for bias in [-100.5, 101, Double.nan] {
            #expect(refused { try TokenRules(biases: [5: bias]) } == "logit_bias")
        }
        let many = Dictionary(uniqueKeysWithValues: (0..<301).map { ($0, 1.0) })
        #expect(refused { try TokenRules(biases: many) } == "logit_bias")
        #expect(refused { try TokenRules(stopIDs: [Int.max]) } == "stop_token_ids")
        #expect(refused { try TokenRules(stopSequences: [[]]) } == "stop_sequences")
        #expect(
            refused { try TokenRules(stopSequences: Array(repeating: [1], count: 11)) } == "stop_sequences")
        let rules = try TokenRules(
            allowedIDs: [9, 3, 9], biases: [7: -100, 2: 1], stopIDs: [4], stopSequences: [[1, 2]])
        #expect(rules.allowedIDs == [3, 9] && rules.biasedIDs == [2, 7] && rules.biases == [1, -100])
        for count in [2, 3, 4, 7, 9] {
            let sampling = try SamplingParameters(maxNewTokens: 1, rules: rules)
            #expect(refused { try sampling.check(vocabularyCount: count, endIDs: []) } == "allowed_token_ids")
        }
        let sampling = try SamplingParameters(maxNewTokens: 1, rules: rules)
        #expect(refused { try sampling.check(vocabularyCount: 10, endIDs: [3, 9]) } == nil)
        let long = try SamplingParameters(maxNewTokens: 1, minNewTokens: 1, rules: rules)
        #expect(refused { try long.check(vocabularyCount: 10, endIDs: [3, 9]) } == "allowed_token_ids")
        #expect(refused { try long.check(vocabularyCount: 10, endIDs: [3]) } == nil)
    }

    @Test func `values out of range name their parameter`() {
        for temperature in [-1, Double.nan, .infinity, 101] {
            #expect(
                refused { try SamplingParameters(temperature: temperature, maxNewTokens: 1) } == "temperature"
            )
        }
        for topP in [0, -1, 1.0000001, Double.nan] {
            #expect(refused { try SamplingParameters(topP: topP, maxNewTokens: 1) } == "top_p")
        }
        for minP in [-0.1, 1.1, Double.nan] {
            #expect(refused { try SamplingParameters(minP: minP, maxNewTokens: 1) } == "min_p")
        }
        for topK in [-2, 1 << 31, Int.max] {
            #expect(refused { try SamplingParameters(topK: topK, maxNewTokens: 1) } == "top_k")
        }
        for count in [0, -1, Int.min] {
            #expect(refused { try SamplingParameters(maxNewTokens: count) } == "max_new_tokens")
        }
        #expect(refused { try SamplingParameters(maxNewTokens: 4, minNewTokens: 5) } == "min_new_tokens")
        #expect(refused { try SamplingParameters(maxNewTokens: 4, topLogprobCount: 21) } == "top_logprobs")
        for count in [-1, 21, Int.max] {
            #expect(
                refused { try SamplingParameters(maxNewTokens: 4, promptLogprobCount: count) }
                    == "prompt_logprobs")
        }
        #expect(refused { try SamplingParameters(maxNewTokens: Int.max) } == nil)
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
