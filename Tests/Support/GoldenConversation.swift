import Foundation
import Images
package import Prompts
package import Scheduling

/// A conversation of a golden file, whose pictures are cut as the model says.
package protocol GoldenConversation: Decodable, Sendable {
    var name: String { get }
    var messages: [GoldenCase.Message] { get }
    var imageFiles: [String] { get }
    var greedyIds: [Int32] { get }
}

extension TestModel {
    /// The planned pictures of a golden case.
    package func images(of golden: some GoldenConversation) throws -> [PlannedImage] {
        try golden.imageFiles.map {
            try prompts.plan(Fixtures.bytes("images/\($0)"), maxTiles: nil, limits: ImageLimits())
        }
    }

    /// The prompt of a golden case, from its conversation.
    package func prompt(of golden: some GoldenConversation) throws -> PreparedPrompt {
        try prompts.prompt(
            conversation: Conversation(messages: golden.messages.map(\.prompted)), images: images(of: golden))
    }
}

extension GoldenCase.Message {
    /// The message as prompts have it.
    var prompted: Message {
        Message(role: role, parts: parts.map { $0.text.map { .text($0) } ?? .image })
    }
}

extension Fixtures {
    /// The golden file `name`.
    static func golden<File: Decodable>(_ name: String) throws -> File {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(File.self, from: Data(bytes("golden/\(name).json")))
    }
}
