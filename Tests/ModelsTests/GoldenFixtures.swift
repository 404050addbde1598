import Checkpoints
import JSON
import TestSupport

@testable import Images
@testable import Models

/// The weights of a golden file with another rotary embedding.
struct RotaryVariation: Sendable {
    let name: String
    /// Settings that replace those of the text configuration.
    let textConfig: JSONObject
    let logits: String

    /// Those of the file that is true for `model`.
    static func of(_ model: String) throws -> [RotaryVariation] {
        let file = GoldenFile.of(model).name
        let root = try ConfigSection.parse(Fixtures.bytes("golden/\(file)"), file: file)
        return (root.value("rope_variations")?.array ?? []).compactMap { variation in
            guard let members = variation.object, let name = members["name"]?.string,
                let config = members["text_config"]?.object, let logits = members["logits"]?.string
            else { return nil }
            return RotaryVariation(name: name, textConfig: config, logits: logits)
        }
    }
}

extension GoldenCase {
    /// All tiles of the case, [tiles, side, side, 3] as bytes.
    func tiles() throws -> Pixels? {
        try tilesFile.map {
            try LibraryImageDecoder().decode(Fixtures.bytes("golden/\($0)"), limits: ImageLimits())
        }
    }
}

extension Fixtures {
    /// A decoded picture of `Tests/Fixtures/images`.
    static func pixels(_ file: String) throws -> Pixels {
        try LibraryImageDecoder().decode(bytes("images/\(file)"), limits: ImageLimits())
    }
}

/// The largest difference of two lists of as many numbers; infinite when a number is not finite.
func largestDifference(_ a: some Collection<Float>, _ b: some Collection<Float>) -> Float {
    guard a.count == b.count else { return .infinity }
    return zip(a, b).reduce(0) { largest, pair in
        let difference = abs(pair.0 - pair.1)
        return difference.isFinite ? max(largest, difference) : .infinity
    }
}
