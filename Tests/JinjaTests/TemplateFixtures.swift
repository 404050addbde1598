import Foundation

@testable import Jinja

/// Reads the golden files under `Tests/Fixtures/templates`.
enum TemplateFixtures {
    /// What jinja2 makes of a template.
    enum Outcome: Equatable {
        case text(String)
        case raised(String)
        case failure
    }

    /// The variables of a render.
    struct Conversation {
        let name: String
        let variables: [(String, Value)]
    }

    /// A template and its outcomes, in the order of the conversations.
    struct Case: CustomStringConvertible {
        let path: String
        let outcomes: [Outcome]

        var description: String { path }
    }

    /// All that one file says.
    struct Goldens {
        let now: Moment
        let conversations: [Conversation]
        let cases: [Case]
    }

    /// Every template with every conversation.
    static let goldens: Goldens = {
        let file = object("templates/conversations.json")
        let outcomes = list(file["results"]).map(outcome)
        return Goldens(
            now: Moment(secondsSinceEpoch: int(file["moment"])),
            conversations: list(file["conversations"]).map {
                Conversation(name: string(member("name", $0)), variables: variables(member("variables", $0)))
            },
            cases: list(file["templates"]).map {
                Case(
                    path: string(member("path", $0)),
                    outcomes: list(member("results", $0)).map { outcomes[int($0)] })
            })
    }()

    /// Small templates, the variables they share and their outcomes.
    static let snippets: (variables: [(String, Value)], snippets: [(source: String, outcome: Outcome)]) = {
        let file = object("templates/snippets.json")
        return (
            variables(file["variables"]),
            list(file["snippets"]).map { pair in
                let pair = list(pair)
                return (string(pair[0]), outcome(pair[1]))
            }
        )
    }()

    /// The source of a template: a file of its own, or a member of a tokenizer's config.
    static func source(_ path: String) -> String {
        guard path.hasSuffix(".json") else { return String(decoding: bytes(path), as: UTF8.self) }
        return string(object(path)["chat_template"])
    }

    /// What a render made or why not.
    static func outcome(
        of source: String, _ variables: [(String, Value)], now: Moment? = goldens.now
    ) -> Outcome {
        do throws(JinjaError) {
            return .text(try Template(source).render(variables, now: now))
        } catch {
            if case .raised(let message) = error { return .raised(message) }
            return .failure
        }
    }

    private static func outcome(_ value: Value) -> Outcome {
        if case .string(let text) = value { return .text(text) }
        if case .string(let message)? = member("raised", value) { return .raised(message) }
        return .failure
    }

    private static func object(_ path: String) -> OrderedObject {
        do {
            if case .object(let object) = try JSONReader.value(of: bytes(path)) { return object }
        } catch {
            preconditionFailure("\(path): \(error)")
        }
        preconditionFailure("\(path) is no object")
    }

    private static func bytes(_ path: String) -> [UInt8] {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        do {
            return [UInt8](try Data(contentsOf: tests.appendingPathComponent("Fixtures/\(path)")))
        } catch {
            preconditionFailure("\(path): \(error)")
        }
    }

    private static func member(_ name: String, _ value: Value) -> Value? {
        if case .object(let object) = value { object[name] } else { nil }
    }

    private static func variables(_ value: Value?) -> [(String, Value)] {
        guard case .object(let object)? = value else { return [] }
        return object.members.map { (string($0.key), $0.value) }
    }

    private static func list(_ value: Value?) -> [Value] {
        if case .list(let list)? = value { list.items } else { [] }
    }

    private static func string(_ value: Value?) -> String {
        if case .string(let string)? = value { string } else { "" }
    }

    private static func int(_ value: Value?) -> Int {
        if case .int(let int)? = value { int } else { -1 }
    }
}
