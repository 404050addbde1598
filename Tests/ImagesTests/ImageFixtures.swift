import Foundation

@testable import Images

/// Reads the golden files under `Tests/Fixtures/images`.
enum ImageFixtures {
    /// A small file and what Pillow makes of it.
    struct DecodingCase: Decodable, Sendable, CustomTestStringConvertibleCase {
        let name: String
        let width: Int
        let height: Int
        let sha256: String
        let file: String

        /// The file's bytes.
        var bytes: [UInt8] { Data(base64Encoded: file).map { [UInt8]($0) } ?? [] }
    }

    /// A value of a row that mixes numbers and words.
    enum Cell: Decodable {
        case number(Int)
        case word(String)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let number = try? container.decode(Int.self) {
                self = .number(number)
            } else {
                self = .word(try container.decode(String.self))
            }
        }

        var number: Int { if case .number(let number) = self { number } else { -1 } }
        var word: String { if case .word(let word) = self { word } else { "" } }
    }

    /// All decoding cases.
    static let decoding: [DecodingCase] = load("decoding.json")
    /// Rows of width, height, new width, new height, filter, SHA-256.
    static let resizing: [[Cell]] = load("resize.json")
    /// Rows of width, height, fewest, most, tile, columns, rows.
    static let tiling: [[Int]] = load("tiling.json")
    /// By model rows of width, height, width and height before cutting, views, tokens.
    static let viewPlans: [String: [[Int]]] = load("views.json")
    /// By tile and longer side rows of width, height, width and height before cutting, columns, rows.
    static let splitPlans: [String: [[Int]]] = load("splits.json")

    /// The case of that name.
    static func file(_ name: String) -> [UInt8] {
        decoding.first { $0.name == name }?.bytes ?? []
    }

    /// The same bytes as `noise` of the script that makes the goldens.
    static func noise(_ count: Int, seed: Int) -> [UInt8] {
        let start = UInt32(truncatingIfNeeded: seed &* 1_000_003)
        return (0..<count).map { index in
            var x = UInt32(truncatingIfNeeded: index) &+ start
            x ^= x >> 16
            x &*= 0x7feb_352d
            x ^= x >> 15
            x &*= 0x846c_a68b
            x ^= x >> 16
            return UInt8(truncatingIfNeeded: x)
        }
    }

    private static func load<T: Decodable>(_ name: String) -> T {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let url = tests.appendingPathComponent("Fixtures/images/\(name)")
        do {
            return try JSONDecoder().decode(T.self, from: Data(contentsOf: url))
        } catch {
            preconditionFailure("\(name): \(error)")
        }
    }
}

/// Shows a case by its name in a test report.
protocol CustomTestStringConvertibleCase: CustomStringConvertible {
    var name: String { get }
}

extension CustomTestStringConvertibleCase {
    var description: String { name }
}
