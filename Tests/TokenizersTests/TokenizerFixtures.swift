import Foundation
import TestRandom

@testable import Tokenizers

/// Reads the golden files under `Tests/Fixtures/tokenizers`.
enum TokenizerFixtures {
    /// What the reference makes of the texts with one tokenizer.
    struct Golden: Decodable, Sendable, CustomStringConvertible {
        struct Example: Decodable, Sendable {
            let text: String
            let ids: [Int32]
        }

        let files: [String]
        let vocabularyCount: Int
        let example: Example
        let parsed: String
        let plain: String
        let framed: String
        let decoded: String
        let random: String
        let randomWithoutSpecial: String

        var description: String { files.joined(separator: ", ") }
    }

    static let texts: [String] = load("texts.json")
    static let goldens: [Golden] = load("goldens.json")

    /// What the references make of pieces: `tokenizers`, `sentencepiece` and `tiktoken`, by the file's kind.
    static let pieceGoldens: [Golden] = pieces.goldens
    /// The texts of the goldens of pieces.
    static let pieceTexts: [String] =
        stride(from: 0, to: texts.count, by: 2).map { texts[$0] } + pieces.texts

    private struct PieceFile: Decodable, Sendable {
        let texts: [String]
        let goldens: [Golden]
    }

    private static let pieces: PieceFile = load("../pieces/goldens.json")

    /// The tokenizer of a file of the repository, whichever kind it is of.
    static func tokenizer(at path: String) throws -> Tokenizer {
        let file = bytes(path)
        if path.hasSuffix(".json") { return try Tokenizer(json: file) }
        if path.hasSuffix(".tiktoken") {
            return try Tokenizer(tiktoken: file, specialTokens: ["<s>", "</s>", "[INST]"])
        }
        var options = SentencePieceOptions()
        options.prefix = ["<s>"]
        return try Tokenizer(sentencePiece: file, options: options)
    }

    /// A tokenizer among those of pieces.
    static func pieceTokenizer(_ name: String) throws -> Tokenizer {
        try tokenizer(at: "Tests/Fixtures/pieces/\(name)")
    }

    /// The bytes of a file of the repository.
    static func bytes(_ path: String) -> [UInt8] {
        do {
            return [UInt8](try Data(contentsOf: root.appendingPathComponent(path)))
        } catch {
            preconditionFailure("\(path): \(error)")
        }
    }

    /// A tokenizer of the fixtures' own folder.
    static func tokenizer(_ name: String) throws -> Tokenizer {
        try Tokenizer(json: bytes("Tests/Fixtures/tokenizers/\(name).json"))
    }

    /// Hashes as the golden file packs them.
    static func hashes(_ packed: String) -> [UInt32] {
        let bytes = Data(base64Encoded: packed).map { [UInt8]($0) } ?? []
        return stride(from: 0, to: bytes.count, by: 4).map { start in
            (0..<4).reduce(0) { $0 | UInt32(bytes[start + $1]) << UInt32($1 * 8) }
        }
    }

    /// The hash of ids.
    static func hash(_ ids: [Int32]) -> UInt32 {
        hash(ids.flatMap { id in (0..<4).map { UInt8(truncatingIfNeeded: id >> Int32($0 * 8)) } })
    }

    /// The hash of text.
    static func hash(_ text: String) -> UInt32 { hash(Array(text.utf8)) }

    /// FNV-1a, 32 bits.
    static func hash(_ bytes: [UInt8]) -> UInt32 {
        bytes.reduce(0x811C_9DC5) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
    }

    /// The same random ids as the script makes.
    static func sequences(_ count: Int, limit: Int) -> [[Int32]] {
        var generator = SeededRandom(seed: 7)
        return (0..<count).map { _ in
            // The script asks for the length first.
            let length = generator.next() % 24
            return (0..<length).map { _ in Int32(generator.next() % UInt64(limit + 3)) }
        }
    }

    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private static func load<T: Decodable>(_ name: String) -> T {
        do {
            return try JSONDecoder().decode(T.self, from: Data(bytes("Tests/Fixtures/tokenizers/\(name)")))
        } catch {
            preconditionFailure("\(name): \(error)")
        }
    }
}
