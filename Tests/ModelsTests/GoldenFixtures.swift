import Checkpoints
import Foundation

@testable import Images
@testable import Models

/// A file of `Tests/Fixtures/golden`; its README says what the fields mean.
struct GoldenFile: Decodable, Sendable {
    let models: [String]
    let tile: Int
    let vocabulary: Int
    let hiddenSize: Int
    let cases: [GoldenCase]
    let ropeInputIds: [Int32]?
    let ropeVariations: [RotaryVariation]?

    /// The file `name` of the golden folder.
    static func load(_ name: String) -> GoldenFile {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            return try decoder.decode(GoldenFile.self, from: Data(contentsOf: Fixtures.url("golden/\(name)")))
        } catch {
            preconditionFailure("\(name): \(error)")
        }
    }
}

/// A conversation and the answers of the reference.
struct GoldenCase: Decodable, Sendable {
    struct Image: Decodable, Sendable {
        let file: String
        let tiles: Int
    }

    struct Step: Decodable, Sendable {
        let topIds: [Int32]
    }

    struct Tiling: Decodable, Sendable {
        let minTiles: Int?
        let maxTiles: Int?
        let thumbnail: Bool?
    }

    let name: String
    let tiling: Tiling
    let images: [Image]
    let inputIds: [Int32]
    let logits: String
    let greedyIds: [Int32]
    let steps: [Step]
    let tilesFile: String?
    let embeddingRows: [Int]?
    let embeddings: String?

    /// All tiles of the case, [tiles, side, side, 3] as bytes.
    func tiles() throws -> Pixels? {
        guard let tilesFile else { return nil }
        let bytes = try [UInt8](Data(contentsOf: Fixtures.url("golden/\(tilesFile)")))
        return try LibraryImageDecoder().decode(bytes, limits: ImageLimits())
    }
}

/// The Llama weights with another rotary embedding.
struct RotaryVariation: Sendable {
    let name: String
    let textConfig: [String: JSONValue]
    let logits: String
}

extension RotaryVariation: Decodable {
    private enum Key: String, CodingKey {
        case name
        case logits
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        name = try container.decode(String.self, forKey: .name)
        logits = try container.decode(String.self, forKey: .logits)
        // The settings keep their spelling, which the decoder would change: they are read again by name.
        textConfig = Self.settings[name] ?? [:]
    }

    private static let settings: [String: [String: JSONValue]] = {
        let bytes =
            (try? Data(contentsOf: Fixtures.url("golden/internvl-llama.json"))).map { [UInt8]($0) } ?? []
        let root = try? ConfigSection.parse(bytes, file: "internvl-llama.json")
        var settings: [String: [String: JSONValue]] = [:]
        for variation in root?.value("rope_variations")?.array ?? [] {
            guard let members = variation.object, let name = members["name"]?.string else { continue }
            settings[name] = members["text_config"]?.object
        }
        return settings
    }()
}

/// Where the fixtures lie, and what is in them.
enum Fixtures {
    static let golden = [GoldenFile.load("internvl-qwen2.json"), GoldenFile.load("internvl-llama.json")]
    /// Every checkpoint folder's name.
    static let models = golden.flatMap(\.models)

    static func url(_ path: String) -> URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Fixtures/\(path)")
    }

    static func folder(_ model: String) -> String { url("models/\(model)").path }

    /// The golden file that is true for `model`.
    static func golden(for model: String) -> GoldenFile {
        golden.first { $0.models.contains(model) } ?? golden[0]
    }

    /// The numbers of a base64 field.
    static func floats(_ base64: String) -> [Float] {
        let data = Data(base64Encoded: base64) ?? Data()
        return stride(from: 0, to: data.count - 3, by: 4).map { offset in
            let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(data[offset + $1]) << (8 * UInt32($1)) }
            return Float(bitPattern: bits)
        }
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

extension Fixtures {
    /// A decoded picture of `Tests/Fixtures/images`.
    static func pixels(_ file: String) throws -> Pixels {
        try LibraryImageDecoder().decode(
            [UInt8](Data(contentsOf: url("images/\(file)"))), limits: ImageLimits())
    }
}
