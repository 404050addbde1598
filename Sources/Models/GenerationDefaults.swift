import Checkpoints
import JSON

/// What the checkpoint wants where a request says nothing.
package struct GenerationDefaults: Sendable, Hashable {
    /// Tokens that end an answer.
    package var endIDs: [Int32]
    package var doSample: Bool?
    package var temperature: Float?
    package var topP: Float?
    package var topK: Int?
    package var repetitionPenalty: Float?

    /// Nothing said by default.
    package init(
        endIDs: [Int32] = [], doSample: Bool? = nil, temperature: Float? = nil, topP: Float? = nil,
        topK: Int? = nil, repetitionPenalty: Float? = nil,
    ) {
        self.endIDs = endIDs
        self.doSample = doSample
        self.temperature = temperature
        self.topP = topP
        self.topK = topK
        self.repetitionPenalty = repetitionPenalty
    }
}

extension GenerationDefaults {
    /// Reads generation_config.json; for the end, else config.json, else its text tower's part.
    init(_ files: ModelFiles, text: ConfigSection, vocabularyCount: Int) throws(CheckpointError) {
        self.init()
        let sections = [files.generation, files.config, text].compactMap(\.self)
        guard let section = sections.first(where: { $0.value("eos_token_id") != nil }) else {
            throw text.refusal(
                "eos_token_id", "is missing, here and in generation_config.json: no answer would end")
        }
        endIDs = try Self.endIDs(section, vocabularyCount: vocabularyCount)
        guard let said = files.generation else { return }
        if said.value("do_sample") != nil { doSample = try said.bool("do_sample") }
        if said.value("temperature") != nil {
            temperature = Float(try said.double("temperature", atLeast: 0, atMost: 100))
        }
        if said.value("top_p") != nil { topP = Float(try said.double("top_p", atLeast: 0, atMost: 1)) }
        if said.value("top_k") != nil { topK = try said.int("top_k", atLeast: -1, atMost: Int(Int32.max)) }
        if said.value("repetition_penalty") != nil {
            repetitionPenalty = Float(try said.double("repetition_penalty", atLeast: 0.01, atMost: 100))
        }
    }

    /// One id or a list of them, each an id of the vocabulary.
    private static func endIDs(_ section: ConfigSection, vocabularyCount: Int) throws(CheckpointError)
        -> [Int32]
    {
        let value = section.value("eos_token_id") ?? .null
        var ids: [Int32] = []
        for id in value.array ?? [value] {
            guard let number = id.int, number >= 0, number < vocabularyCount, let id = Int32(exactly: number)
            else {
                throw section.refusal(
                    "eos_token_id", "is \(id.summary), but must be ids below vocab_size \(vocabularyCount)")
            }
            ids.append(id)
        }
        guard !ids.isEmpty else { throw section.refusal("eos_token_id", "is empty: no answer would end") }
        return ids
    }
}
