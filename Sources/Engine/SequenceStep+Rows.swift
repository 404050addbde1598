import Glibc
import Scheduling
import Tensors

extension SequenceStep {
    /// A rule for each row of logits that the step takes of this sequence: those for its report, then the choice.
    func rows(vocabularyCount: Int, endIDs: [Int32]) -> [SamplingRow] {
        var rows: [SamplingRow] = []
        if let scoring {
            rows = scoring.ids.map {
                SamplingRow(vocabularyCount: vocabularyCount, topLogprobCount: scoring.topCount, givenID: $0)
            }
        }
        if let choice { rows.append(choice.row(vocabularyCount: vocabularyCount, endIDs: endIDs)) }
        return rows
    }
}

extension TokenChoice {
    /// The rule for the row of logits.
    fileprivate func row(vocabularyCount: Int, endIDs: [Int32]) -> SamplingRow {
        SamplingRow(
            temperature: sampling.temperature, topK: sampling.topK, topP: sampling.topP, minP: sampling.minP,
            uniform: CounterRandom.uniform(seed: seed, index: index), changes: changes(endIDs: endIDs),
            bannedIDs: forbidsEnd ? endIDs + sampling.rules.stopIDs : [], vocabularyCount: vocabularyCount,
            topLogprobCount: sampling.topLogprobCount)
    }

    private func changes(endIDs: [Int32]) -> LogitChanges {
        var changes = LogitChanges()
        let penalties = sampling.penalties
        changes.counted = TokenCounts(ids: tally.ids, counts: tally.counts)
        changes.repetition = Float(penalties.repetition)
        changes.frequency = Float(penalties.frequency)
        changes.presence = Float(penalties.presence)
        if let decay = penalties.lengthDecay, index > decay.start, !sampling.ignoresEnd {
            changes.raisedIDs = endIDs
            // A finite number, however long the answer.
            changes.raise = Float(min(pow(decay.factor, Double(index - decay.start)) - 1, 1e30))
        }
        changes.biasedIDs = sampling.rules.biasedIDs
        changes.biases = sampling.rules.biases
        changes.allowedIDs = sampling.rules.allowedIDs
        return changes
    }
}
