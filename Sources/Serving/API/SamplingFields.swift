import JSON

/// What both APIs read in the same way.
extension JSONFields {
    /// The texts that end an answer: a string or several, each of 1 to 256 bytes, at most 10.
    func stops(_ name: String) throws(ServingError) -> [[UInt8]] {
        let values: [JSONValue]
        switch self[name] {
        case nil: return []
        case .string(let text): values = [.string(text)]
        case .array(let array): values = array
        default: throw error(name, "must be a string or an array of strings")
        }
        guard values.count <= 10 else { throw error(name, "may have at most 10 entries") }
        var stops: [[UInt8]] = []
        for value in values {
            switch value {
            case .string(let text):
                guard (1...256).contains(text.utf8.count) else {
                    throw error(name, "must be strings of 1 to 256 bytes")
                }
                stops.append(Array(text.utf8))
            case .array: throw error(name, "as token ids is not supported yet")
            default: throw error(name, "must be a string or an array of strings")
            }
        }
        return stops
    }

    /// −1 for none, or a number that decides the draws.
    func seed() throws(ServingError) -> UInt64? {
        guard let seed = try int("seed"), seed != -1 else { return nil }
        guard seed >= 0 else { throw error("seed", "must be -1 (none) or from 0 to 2^63 - 1") }
        return UInt64(seed)
    }

    /// −1 for all, or how many of the likeliest tokens are kept.
    func topK(default value: Int?) throws(ServingError) -> Int {
        guard let topK = try int("top_k") else { return value ?? -1 }
        guard topK == -1 || (1...Int(Int32.max)).contains(topK) else {
            throw error("top_k", "must be -1 (all) or from 1 to 2^31 - 1")
        }
        return topK
    }

    /// Throws unless only one answer is asked for.
    func requireOneAnswer(_ names: [String]) throws(ServingError) {
        for name in names {
            guard let count = try int(name), count != 1 else { continue }
            guard (1...8).contains(count) else { throw error(name, "must be from 1 to 8") }
            throw error(name, "above 1 is not supported yet")
        }
    }

    /// Throws unless the penalties change nothing.
    func requireNoPenalties() throws(ServingError) {
        try requireNeutral("presence_penalty", 0)
        try requireNeutral("frequency_penalty", 0)
        try requireNeutral("repetition_penalty", 1)
    }
}
