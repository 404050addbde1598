import JSON
import Scheduling

/// Penalties and rules about tokens, which all APIs read in the same way.
extension JSONFields {
    /// Reads them all; `stopSequences` were read before.
    func readRules(
        into choice: inout SamplingChoice, defaults: SamplingDefaults, stopSequences: [[Int]] = [],
    ) throws(ServingError) {
        if let minP = try double("min_p") {
            guard (0...1).contains(minP) else { throw error("min_p", "must be from 0 to 1") }
            choice.minP = minP
        }
        choice.penalties = try penalties(defaults)
        let allowed = try ids("allowed_token_ids"), stops = try ids("stop_token_ids"), biases = try biases()
        choice.rules = try checked { () throws(SamplingError) in
            try TokenRules(allowedIDs: allowed, biases: biases, stopIDs: stops, stopSequences: stopSequences)
        }
    }

    /// How many answers are wanted, by the name `name`; nil when it does not say.
    func answerCount(_ name: String) throws(ServingError) -> Int? {
        guard let count = try int(name) else { return nil }
        guard (1...8).contains(count) else { throw error(name, "must be from 1 to 8") }
        return count
    }

    private func penalties(_ defaults: SamplingDefaults) throws(ServingError) -> SamplingPenalties {
        var penalties = SamplingPenalties()
        penalties.repetition = try double("repetition_penalty") ?? defaults.repetitionPenalty ?? 1
        penalties.presence = try double("presence_penalty") ?? 0
        penalties.frequency = try double("frequency_penalty") ?? 0
        penalties.countsPrompt = try bool("input_penalty") ?? false
        let name = "exponential_decay_length_penalty"
        if let decay = try array(name) {
            guard decay.count == 2, let start = decay[0].int, let factor = decay[1].double else {
                throw error(name, "must be [integer ≥ 0, number from 1 to 1000000]")
            }
            penalties.lengthDecay = LengthDecay(start: start, factor: factor)
        }
        let read = penalties
        try checked { () throws(SamplingError) in try read.check() }
        if penalties.lengthDecay?.factor == 1 { penalties.lengthDecay = nil }
        return penalties
    }

    private func ids(_ name: String) throws(ServingError) -> [Int] {
        let values = try array(name) ?? []
        let ids = values.compactMap(\.int)
        guard ids.count == values.count else { throw error(name, "must be an array of token ids") }
        return ids
    }

    /// `logit_bias`: what is added to the logits of tokens, by their ids as strings.
    private func biases() throws(ServingError) -> [Int: Double] {
        var biases: [Int: Double] = [:]
        for (key, value) in try fields("logit_bias")?.object.members ?? [] {
            // Only names that are numbers as we write them, so that each id has one.
            guard let id = Int(key), String(id) == key, let bias = value.double else {
                throw error("logit_bias", "must be an object of numbers by token ids")
            }
            biases[id] = bias
        }
        return biases
    }

    private func checked<Value>(
        _ body: () throws(SamplingError) -> Value,
    ) throws(ServingError) -> Value {
        do throws(SamplingError) {
            return try body()
        } catch {
            throw ServingError(error, param: param(error.parameter))
        }
    }
}
